import { heapOf } from "../../core/heaps";
import { abortScan, beginScan, lastOf, type Scan, type ScanFolder, type Scans as AllScans } from "../../core/scans";
import { many, when } from "../format";
import { attempt, toast } from "../Toasts";
import { NewScan } from "./NewScan";
import { Roots, useRoots } from "./Roots";
import { RunningScan } from "./RunningScan";
import { useScans } from "./useScans";
import { outcome } from "./words";

/** Scans has folders of the server taken into heaps, and shows how that goes on. */
export function Scans() {
  const { roots, setRoots } = useRoots();
  const { all, load } = useScans();
  if (!roots || !all) return <p class="loading" aria-busy="true" />;
  const act = (what: () => Promise<unknown>) => void attempt(async () => {
    await what();
    await load();
  });
  const again = (folder: ScanFolder) => act(async () => {
    await beginScan(wanted(folder));
    toast("The scan has begun.");
  });
  const gone = (scan: Scan) => act(() => beginScan(requestOf(all, scan), true));
  return (
    <>
      <h2>Going on</h2>
      {all.scans.length === 0 && <p class="quiet">No scan is running.</p>}
      <ul class="members">
        {all.scans.map((s) => (
          <RunningScan key={s.scan_id} scan={s} abort={() => act(() => abortScan(s.scan_id))} confirm={() => gone(s)} />
        ))}
      </ul>
      <h2>Scan a folder</h2>
      <NewScan roots={roots} begun={load} />
      {all.folders.length > 0 && <h2>Folders in heaps</h2>}
      <ul class="members">
        {all.folders.map((f) => <Followed key={`${f.heap_id} ${f.path}`} folder={f} all={all} scan={() => again(f)} />)}
      </ul>
      {all.recent.length > 0 && <h2>Over</h2>}
      <ul class="members">
        {all.recent.toReversed().map((s) => (
          <li key={s.scan_id}>
            <span class="member-name">
              <strong class="path-name">{s.path}</strong> into {heapOf(s.heap_id)?.name ?? s.heap_id}<br />
              <span class="quiet">{[s.ended_at && when(s.ended_at), outcome(s)].filter(Boolean).join(" · ")}</span>
            </span>
          </li>
        ))}
      </ul>
      <Roots roots={roots} change={setRoots} />
    </>
  );
}

const wanted = (f: ScanFolder) => ({ heap_id: f.heap_id, path: f.path, recursive: f.recursive, watch: f.watch !== "off" });

/** requestOf asks for a scan once more, as it was asked for. */
function requestOf(all: AllScans, scan: Scan) {
  const folder = all.folders.find((f) => f.heap_id === scan.heap_id && f.path === scan.path);
  return folder ? wanted(folder) : { heap_id: scan.heap_id, path: scan.path, recursive: true, watch: false };
}

const watches: Record<ScanFolder["watch"], string> = {
  events: "changes are seen at once",
  polling: "looked at every few minutes: the system cannot watch all of it",
  off: "looked at now and then",
};

function Followed({ folder, all, scan }: { folder: ScanFolder; all: AllScans; scan: () => void }) {
  const last = lastOf(all, folder);
  const busy = last?.status === "queued" || last?.status === "running";
  return (
    <li>
      <span class="member-name">
        <strong class="path-name">{folder.path}</strong> into {heapOf(folder.heap_id)?.name ?? folder.heap_id}{" "}
        {last?.status === "offline" && <span class="badge bad">offline</span>}
        {last?.status === "needs_confirmation" && <span class="badge warn">asks, see above</span>}
        <br />
        <span class="quiet">
          {last?.status === "offline" ? `The folder cannot be reached: ${many(last.offline, "file is", "files are")} offline. The blocks stay as they are.`
            : [watches[folder.watch], folder.recursive ? "" : "without the folders in it", folder.last_at ? `last ${when(folder.last_at)}` : ""].filter(Boolean).join(" · ")}
        </span>
      </span>
      <button disabled={busy} onClick={scan} aria-label={`Scan now: ${folder.path}`}>Scan now</button>
    </li>
  );
}
