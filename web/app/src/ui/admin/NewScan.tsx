import { useState } from "preact/hooks";
import { heaps, mayEdit } from "../../core/heaps";
import { beginScan, planScan, type Plan, type ScanRequest } from "../../core/scans";
import { many } from "../format";
import { attempt } from "../Toasts";
import { would } from "./words";

/** shownFiles of a plan are listed. */
const shownFiles = 50;

/** NewScan asks for a folder and a heap, says what a scan would do, and starts it. */
export function NewScan({ roots, begun }: { roots: string[]; begun: () => Promise<void> }) {
  const targets = heaps.value?.filter(mayEdit) ?? [];
  const [chosen, setChosen] = useState<Partial<ScanRequest>>({});
  const [plan, setPlan] = useState<Plan>();
  const [busy, setBusy] = useState(false);
  if (targets.length === 0) return <p class="quiet">Make a heap first: the files of a folder become its blocks.</p>;
  const request: ScanRequest = { path: roots[0] ?? "", heap_id: targets[0]!.id, recursive: true, watch: true, ...chosen };
  const change = (what: Partial<ScanRequest>) => {
    setChosen({ ...request, ...what });
    setPlan(undefined);
  };
  const run = async (what: () => Promise<void>) => {
    setBusy(true);
    await attempt(what);
    setBusy(false);
  };
  const look = (e: Event) => {
    e.preventDefault();
    void run(async () => setPlan(await planScan(request)));
  };
  const begin = () => run(async () => {
    await beginScan(request);
    setPlan(undefined);
    await begun();
  });
  return (
    <form class="settings" onSubmit={look}>
      <label>
        Folder on the server
        <input name="path" value={request.path} required list="scan-roots" spellcheck={false} autoComplete="off" placeholder="/srv/photos" onInput={(e) => change({ path: e.currentTarget.value })} />
      </label>
      <datalist id="scan-roots">{roots.map((r) => <option key={r} value={r} />)}</datalist>
      <label>
        Into the heap
        <select value={request.heap_id} onChange={(e) => change({ heap_id: e.currentTarget.value })}>
          {targets.map((h) => <option key={h.id} value={h.id}>{h.name || "Untitled"}</option>)}
        </select>
      </label>
      <label class="check"><input type="checkbox" checked={request.recursive} onChange={(e) => change({ recursive: e.currentTarget.checked })} /> The folders in it too</label>
      <label class="check"><input type="checkbox" checked={request.watch} onChange={(e) => change({ watch: e.currentTarget.checked })} /> Follow what changes in it</label>
      {!plan && <button class="main" disabled={busy}>{busy ? "Looking…" : "See what a scan would do"}</button>}
      {plan && (
        <div class="plan" role="status">
          <p>{would(plan)}</p>
          {plan.vanished > 0 && <p class="notice">{many(plan.vanished, "file that was there is", "files that were there are")} gone. If that is more than one in twenty, the scan asks before it changes anything of them.</p>}
          {plan.files.length > 0 && (
            <details>
              <summary>{plan.files.length > shownFiles ? `The first ${shownFiles} files` : many(plan.files.length, "file", "files")}</summary>
              <ul class="plan-files">{plan.files.slice(0, shownFiles).map((f) => <li key={f.path}><span class="badge">{f.action}</span> <span class="key">{f.path}</span></li>)}</ul>
            </details>
          )}
          <div class="actions">
            <button type="button" class="main" disabled={busy} onClick={() => void begin()}>Start the scan</button>
            <button type="button" onClick={() => setPlan(undefined)}>Cancel</button>
          </div>
        </div>
      )}
    </form>
  );
}
