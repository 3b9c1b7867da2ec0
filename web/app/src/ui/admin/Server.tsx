import { useEffect, useState } from "preact/hooks";
import { get } from "../../core/api";
import { reach } from "../../core/heaps";
import { bytes, many } from "../format";
import { attempt } from "../Toasts";

interface Stats {
  version: string;
  uptime: number;
  users: Record<string, number>;
  sessions: number;
  connections: number;
  rooms: number;
  commit_p99_ms: number;
  storage?: Record<string, number>;
}

interface Health {
  server: { status: string };
  database: { status: string; latency_ms: number };
  storage: { status: string };
  media?: { status: string; missing: string[] };
}

/** Server says how the server does. */
export function Server() {
  const [stats, setStats] = useState<Stats>();
  const [health, setHealth] = useState<Health>();
  useEffect(() => {
    const load = async () => {
      await attempt(async () => setStats(await reach(() => get<Stats>("/api/admin/stats"))));
      await attempt(async () => setHealth(await reach(() => get<Health>("/api/health"))));
    };
    void load();
    const timer = setInterval(load, 10_000);
    return () => clearInterval(timer);
  }, []);
  if (!stats || !health) return <p class="loading" aria-busy="true" />;
  const ok = (status: string) => <span class={`badge ${status === "ok" ? "good" : "bad"}`}>{status}</span>;
  const s = stats.storage ?? {};
  return (
    <>
      <h2>Health</h2>
      <dl class="facts">
        <dt>Database</dt><dd>{ok(health.database.status)} answers in {health.database.latency_ms.toFixed(1)} ms</dd>
        <dt>Files</dt><dd>{ok(health.storage.status)}</dd>
        {health.media && <><dt>Pictures</dt><dd>{ok(health.media.status)} {health.media.missing.join(" ")}</dd></>}
        <dt>Commits</dt><dd>{stats.commit_p99_ms.toFixed(1)} ms for 99 of 100</dd>
      </dl>
      <h2>Activity</h2>
      <dl class="facts">
        <dt>Version</dt><dd>{stats.version}, up for {Math.floor(stats.uptime / 3600)} h {Math.floor((stats.uptime % 3600) / 60)} min</dd>
        <dt>Accounts</dt><dd>{Object.entries(stats.users).map(([kind, n]) => `${n} ${kind}`).join(", ")}</dd>
        <dt>Devices</dt><dd>{many(stats.sessions, "session", "sessions")}, {many(stats.connections, "socket", "sockets")}, {many(stats.rooms, "open block", "open blocks")}</dd>
        {s.files !== undefined && <><dt>Stored</dt><dd>{many(s.files, "file", "files")}, {bytes(s.files_bytes ?? 0)}; pictures of them: {bytes(s.derived_bytes ?? 0)}</dd></>}
      </dl>
    </>
  );
}
