import { useEffect, useState } from "preact/hooks";
import { call, get } from "../../core/api";
import { reach } from "../../core/heaps";
import { attempt } from "../Toasts";

interface WithRoots {
  scan_roots: string[];
}

/** useRoots knows the folders that may be scanned. */
export function useRoots() {
  const [roots, setRoots] = useState<string[]>();
  useEffect(() => void attempt(async () => setRoots((await reach(() => get<WithRoots>("/api/admin/settings"))).scan_roots)), []);
  return { roots, setRoots };
}

/** Roots lists and changes the folders of the server that may be scanned. */
export function Roots({ roots, change }: { roots: string[]; change: (roots: string[]) => void }) {
  const [path, setPath] = useState("");
  const save = (scan_roots: string[]) => attempt(async () => {
    change((await reach(() => call<WithRoots>("PUT", "/api/admin/settings", { scan_roots }))).scan_roots);
    setPath("");
  });
  const add = (e: Event) => {
    e.preventDefault();
    void save([...roots.filter((r) => r !== path.trim()), path.trim()]);
  };
  const remove = (root: string) => {
    if (confirm(`Folders in ${root} are not scanned any more. The blocks that were made of their files stay, but the files cannot be opened. Go on?`)) void save(roots.filter((r) => r !== root));
  };
  return (
    <>
      <h2>Folders that may be scanned</h2>
      <ul class="members">
        {roots.map((root) => (
          <li key={root}>
            <span class="member-name key">{root}</span>
            <button class="danger" onClick={() => remove(root)} aria-label={`Remove ${root}`}>Remove</button>
          </li>
        ))}
      </ul>
      <form class="by-key settings" onSubmit={add}>
        <label>Another folder, with all in it<input name="root" value={path} required pattern="/.*" title="A path from / on" spellcheck={false} autoComplete="off" placeholder="/srv/photos" onInput={(e) => setPath(e.currentTarget.value)} /></label>
        <button>Allow</button>
      </form>
      <p class="quiet">Those that the server was started with, as <code>--scan-root /srv/photos</code>, may be scanned too. They are not listed here.</p>
    </>
  );
}
