import { useEffect, useState } from "preact/hooks";
import { call, get } from "../core/api";
import { reach } from "../core/heaps";
import { account, server, type Account } from "../core/session";
import { bytes, when } from "./format";
import { theme, type Theme } from "./theme";
import { attempt, toast } from "./Toasts";
import { useTitle } from "./useTitle";

interface Session {
  id: string;
  device_name: string;
  created_at: number;
  last_seen_at: number;
  ip: string;
  current: boolean;
}

/** Name is what others see beside one's cursor and in a heap's members. */
function Name() {
  const me = account.value;
  const [name, setName] = useState(me?.name ?? "");
  useEffect(() => setName(me?.name ?? ""), [me?.name]);
  const store = (e: Event) => {
    e.preventDefault();
    void attempt(async () => {
      account.value = await reach(() => call<Account>("PATCH", "/api/me", { name: name.trim() }));
      toast("Others see your new name when they come by next.");
    });
  };
  return (
    <form class="by-key short" onSubmit={store}>
      <label>
        Your name
        <input value={name} maxLength={100} autoComplete="name" placeholder={me?.public_key.slice(0, 8)} onInput={(e) => setName(e.currentTarget.value)} />
      </label>
      <button disabled={name.trim() === (me?.name ?? "")}>Change</button>
    </form>
  );
}

/** AccountPage is about oneself: the key, the devices, how the app looks. */
export function AccountPage() {
  const [sessions, setSessions] = useState<Session[]>();
  useTitle("Account");
  const load = () => attempt(async () => setSessions((await reach(() => get<{ sessions: Session[] }>("/api/auth/sessions"))).sessions));
  useEffect(() => void load(), []);
  const end = (id: string) => attempt(async () => {
    await reach(() => call("DELETE", `/api/auth/sessions/${encodeURIComponent(id)}`));
    await load();
  });
  const me = account.value;
  return (
    <section class="page">
      <h1>Account</h1>
      <dl class="facts">
        <dt>Public key</dt><dd class="key">{me?.public_key}</dd>
        {me && <><dt>Uses</dt><dd>{bytes(me.usage.storage_bytes)} of files{me.limits.storage_bytes !== null && `, of ${bytes(me.limits.storage_bytes)}`}</dd></>}
        <dt>Server</dt><dd>{server.value?.name} {server.value?.version}</dd>
        <dt>Server key</dt><dd class="key">{server.value?.public_key}</dd>
      </dl>
      <Name />
      <h2>Looks</h2>
      <label class="short">
        Colours
        <select value={theme.value} onChange={(e) => (theme.value = e.currentTarget.value as Theme)}>
          <option value="auto">As the system</option>
          <option value="light">Light</option>
          <option value="dark">Dark</option>
        </select>
      </label>
      <h2>Devices</h2>
      <ul class="members">
        {sessions?.map((s) => (
          <li key={s.id}>
            <span class="member-name">
              <strong>{s.device_name || "Unnamed device"}</strong>{s.current && " (this one)"}<br />
              <span class="quiet">last seen {when(s.last_seen_at)} from {s.ip}</span>
            </span>
            {!s.current && <button class="danger" onClick={() => void end(s.id)} aria-label={`Sign ${s.device_name || "this device"} out`}>Sign out</button>}
          </li>
        ))}
      </ul>
      <p class="quiet">This app is made with the work of others: <a href={import.meta.url.replace(/[^/]*$/, "licenses.txt")} target="_blank" rel="noopener">their licences</a>.</p>
    </section>
  );
}
