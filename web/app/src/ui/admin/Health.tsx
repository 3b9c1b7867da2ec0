import { useEffect, useState } from "preact/hooks";
import * as admin from "../../core/admin";
import { heapOf } from "../../core/heaps";
import { blockPath } from "../../core/router";
import { scansNow, type Scans } from "../../core/scans";
import { many } from "../format";
import { attempt } from "../Toasts";
import { problemsOf } from "./problems";

export interface Known {
  health: admin.Health;
  sync: admin.SyncHealth;
  stats: admin.Stats;
  scans: Scans;
  found: admin.Problems;
}

const lookEvery = 10_000;

/** Health says how each part of the server does, and what there is to worry about. */
export function Health() {
  const [known, setKnown] = useState<Known>();
  useEffect(() => {
    const look = () => attempt(async () => {
      const [health, sync, stats, scans, found] = await Promise.all([admin.health(), admin.syncHealth(), admin.stats(), scansNow(), admin.problems()]);
      setKnown({ health, sync, stats, scans, found });
    });
    void look();
    const timer = setInterval(look, lookEvery);
    return () => clearInterval(timer);
  }, []);
  if (!known) return <p class="loading" aria-busy="true" />;
  const { health, sync, stats, scans, found } = known;
  const problems = problemsOf(known);
  return (
    <>
      <h2>Problems</h2>
      {problems.length === 0 ? <p><span class="badge good">ok</span> There is nothing to worry about.</p>
        : <ul class="problems">{problems.map((words) => <li key={words} class="notice">{words}</li>)}</ul>}
      <Concerned title="Blocks that cannot be read" list={found.blocks.map((b) => ({ ...b, name: b.block_id }))} />
      <Concerned title="Files without the picture they should have" list={found.pictures} />
      <h2>Parts</h2>
      <ul class="parts">
        <Part name="Server" status={health.server.status}>version {stats.version}, up for {Math.floor(stats.uptime / 3600)} h {Math.floor((stats.uptime % 3600) / 60)} min</Part>
        <Part name="Database" status={health.database.status}>answers in {health.database.latency_ms.toFixed(1)} ms</Part>
        <Part name="Edits" status={sync.status}>99 of 100 are on the disk within {stats.commit_p99_ms.toFixed(1)} ms; {many(sync.pending_commits, "waits", "wait")} now</Part>
        <Part name="Files" status={health.storage.status}>{many(stats.storage.files, "file is", "files are")} stored</Part>
        <Part name="Pictures" status={health.media.status}>{pictures(known)}</Part>
        <Part name="Scans" status={scans.scans.some((s) => s.status === "running") ? "running" : "ok"}>{many(stats.scans.folders, "folder is", "folders are")} followed</Part>
      </ul>
      <h2>Now</h2>
      <dl class="facts">
        <dt>Accounts</dt><dd>{stats.users.active} active, {stats.users.pending} waiting, {stats.users.blocked} blocked; {many(stats.users.admins, "administrator", "administrators")}</dd>
        <dt>Devices</dt><dd>{many(stats.sessions, "is", "are")} signed in</dd>
        <dt>Sockets</dt><dd>{many(stats.connections, "socket", "sockets")}, {many(stats.rooms, "open block", "open blocks")}</dd>
      </dl>
    </>
  );
}

/** Concerned are blocks that have a problem. Those of heaps one is in can be gone to. */
function Concerned({ title, list }: { title: string; list: { heap_id: string; block_id: string; name: string; reason: string }[] }) {
  if (list.length === 0) return null;
  return (
    <details>
      <summary>{title}</summary>
      <ul>
        {list.map((it) => (
          <li key={`${it.heap_id}/${it.block_id}`}>
            {heapOf(it.heap_id) ? <a href={blockPath(it.heap_id, it.block_id)}>{it.name || it.block_id}</a> : it.name || it.block_id}: {it.reason}
          </li>
        ))}
      </ul>
    </details>
  );
}

function pictures({ health, stats }: Known): string {
  const { derived, pending } = stats.storage;
  if (health.media.status === "off") return "none are made";
  return `${many(derived, "picture", "pictures")}, ${many(pending, "file waits", "files wait")}`;
}

const tones: Record<string, string> = { ok: "good", running: "good", partial: "warn", off: "warn", starting: "warn" };

function Part({ name, status, children }: { name: string; status: string; children: preact.ComponentChildren }) {
  return (
    <li>
      <strong>{name}</strong>
      <span class={`badge ${tones[status] ?? "bad"}`}>{status}</span>
      <span class="quiet part-words">{children}</span>
    </li>
  );
}
