import { account } from "../core/session";
import { Health } from "./admin/Health";
import { Log } from "./admin/Log";
import { People } from "./admin/People";
import { Scans } from "./admin/Scans";
import { SettingsForm } from "./admin/SettingsForm";
import { Storage } from "./admin/Storage";
import { useTitle } from "./useTitle";
import "./admin/admin.css";

const views: [string, string, () => preact.JSX.Element][] = [
  ["", "People", () => <People />],
  ["health", "Health", () => <Health />],
  ["scans", "Scans", () => <Scans />],
  ["storage", "Storage", () => <Storage />],
  ["settings", "Settings", () => <SettingsForm />],
  ["log", "Log", () => <Log />],
];

/** AdminPage is for administrators. For others its routes do not exist. */
export function AdminPage({ view }: { view: string }) {
  useTitle("Administration");
  if (account.value && !account.value.is_admin) return <p class="notice page">This page is for administrators.</p>;
  const [, , show] = views.find(([name]) => name === view) ?? views[0]!;
  return (
    <section class="page">
      <h1>Administration</h1>
      <nav class="tabs" aria-label="Administration">
        {views.map(([name, title]) => (
          <a key={name} href={name ? `/admin/${name}` : "/admin"} aria-current={name === view ? "page" : undefined}>{title}</a>
        ))}
      </nav>
      {show()}
    </section>
  );
}
