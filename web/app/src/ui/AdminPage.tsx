import { useEffect, useState } from "preact/hooks";
import { call, get, post } from "../core/api";
import { reach } from "../core/heaps";
import { account } from "../core/session";
import { bytes, many, when } from "./format";
import { attempt, toast } from "./Toasts";
import { useTitle } from "./useTitle";

interface User {
  id: string;
  public_key: string;
  email: string;
  name: string;
  status: "pending" | "active" | "blocked";
  is_admin: boolean;
  created_at: number;
  last_seen_at: number | null;
  usage: { storage_bytes: number; heaps: number };
}

interface Limits {
  storage_bytes: number | null;
  file_bytes: number | null;
  heaps: number | null;
  blocks: number | null;
  connections: number | null;
}

interface Settings {
  name: string;
  mode: "open" | "approval" | "closed";
  limits: Limits;
  scan_roots: string[];
}

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

interface AuditEvent {
  id: number;
  at: number;
  kind: string;
  actor: string;
  public_key: string;
  ip: string;
  detail: string;
}

const views: [string, string, () => preact.JSX.Element][] = [
  ["", "People", () => <People />],
  ["server", "Server", () => <Server />],
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

function People() {
  const [users, setUsers] = useState<User[]>();
  const [next, setNext] = useState<string | null>(null);
  const load = (cursor: string | null) => attempt(async () => {
    const page = await reach(() => get<{ users: User[]; next_cursor: string | null }>(`/api/admin/users?limit=200${cursor ? "&cursor=" + encodeURIComponent(cursor) : ""}`));
    setUsers((known) => (cursor ? [...(known ?? []), ...page.users] : page.users));
    setNext(page.next_cursor);
  });
  useEffect(() => void load(null), []);
  const act = (user: User, what: string) => attempt(async () => {
    await reach(() => post(`/api/admin/users/${encodeURIComponent(user.id)}/${what}`));
    await load(null);
  });
  if (!users) return <p class="loading" aria-busy="true" />;
  const waiting = users.filter((u) => u.status === "pending");
  const rest = users.filter((u) => u.status !== "pending");
  const name = (u: User): string => u.name || u.email || `${u.public_key.slice(0, 12)}…`;
  return (
    <>
      <h2>Waiting</h2>
      {waiting.length === 0 && <p class="quiet">Nobody waits for approval.</p>}
      <ul class="members">
        {waiting.map((u) => (
          <li key={u.id}>
            <span class="member-name"><span class="key">{u.public_key}</span><br /><span class="quiet">{[u.email, `since ${when(u.created_at)}`].filter(Boolean).join(" · ")}</span></span>
            <button class="main" onClick={() => void act(u, "approve")} aria-label={`Approve ${name(u)}`}>Approve</button>
            <button class="danger" onClick={() => void act(u, "block")} aria-label={`Block ${name(u)}`}>Block</button>
          </li>
        ))}
      </ul>
      <h2>Accounts</h2>
      <ul class="members">
        {rest.map((u) => (
          <li key={u.id}>
            <span class="member-name">
              <strong title={u.public_key}>{name(u)}</strong>{u.is_admin && " · administrator"}{u.status === "blocked" && " · blocked"}<br />
              <span class="quiet">{many(u.usage.heaps, "heap", "heaps")}, {bytes(u.usage.storage_bytes)}{u.last_seen_at ? ` · seen ${when(u.last_seen_at)}` : ""}</span>
            </span>
            {u.id !== account.value?.id && (
              <>
                {u.status === "blocked" ? <button onClick={() => void act(u, "approve")} aria-label={`Let ${name(u)} in again`}>Unblock</button>
                  : <button class="danger" onClick={() => void act(u, "block")} aria-label={`Block ${name(u)}`}>Block</button>}
                {u.status === "active" && <button onClick={() => void act(u, u.is_admin ? "demote" : "promote")}>{u.is_admin ? "Demote" : "Make administrator"}</button>}
              </>
            )}
          </li>
        ))}
      </ul>
      {next && <button onClick={() => void load(next)}>More</button>}
    </>
  );
}

function Server() {
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

const limitNames: [keyof Limits, string][] = [
  ["storage_bytes", "Bytes of files an account may have"],
  ["file_bytes", "Bytes of one file"],
  ["heaps", "Heaps an account may own"],
  ["blocks", "Blocks of a heap"],
  ["connections", "Sockets of an account"],
];

function SettingsForm() {
  const [settings, setSettings] = useState<Settings>();
  useEffect(() => void attempt(async () => setSettings(await reach(() => get<Settings>("/api/admin/settings")))), []);
  if (!settings) return <p class="loading" aria-busy="true" />;
  const save = (e: Event) => {
    e.preventDefault();
    void attempt(async () => {
      setSettings(await reach(() => call<Settings>("PUT", "/api/admin/settings", settings)));
      toast("Saved.");
    });
  };
  return (
    <form class="settings" onSubmit={save}>
      <label>Name of the server<input value={settings.name} maxLength={100} onInput={(e) => setSettings({ ...settings, name: e.currentTarget.value })} /></label>
      <label>
        Who may make an account
        <select value={settings.mode} onChange={(e) => setSettings({ ...settings, mode: e.currentTarget.value as Settings["mode"] })}>
          <option value="approval">Everybody, but an administrator has to approve</option>
          <option value="open">Everybody</option>
          <option value="closed">Nobody new</option>
        </select>
      </label>
      <fieldset>
        <legend>Limits; empty is none</legend>
        {limitNames.map(([name, text]) => (
          <label key={name}>
            {text}
            <input type="number" min={0} step={1} value={settings.limits[name] ?? ""}
              onInput={(e) => setSettings({ ...settings, limits: { ...settings.limits, [name]: e.currentTarget.value === "" ? null : Number(e.currentTarget.value) } })} />
          </label>
        ))}
      </fieldset>
      <label>
        Folders on the server that may be scanned, one a line
        <textarea rows={3} value={settings.scan_roots.join("\n")} spellcheck={false}
          onInput={(e) => setSettings({ ...settings, scan_roots: e.currentTarget.value.split("\n") })}
          onBlur={() => setSettings({ ...settings, scan_roots: settings.scan_roots.map((r) => r.trim()).filter(Boolean) })} />
      </label>
      <button class="main">Save</button>
    </form>
  );
}

function Log() {
  const [events, setEvents] = useState<AuditEvent[]>();
  const [next, setNext] = useState<string | null>(null);
  const load = (cursor: string | null) => attempt(async () => {
    const page = await reach(() => get<{ events: AuditEvent[]; next_cursor: string | null }>(`/api/admin/audit?limit=200${cursor ? "&cursor=" + encodeURIComponent(cursor) : ""}`));
    setEvents((known) => (cursor ? [...(known ?? []), ...page.events] : page.events));
    setNext(page.next_cursor);
  });
  useEffect(() => void load(null), []);
  if (!events) return <p class="loading" aria-busy="true" />;
  return (
    <>
      <div class="scroll" tabIndex={0} role="region" aria-label="What happened">
        <table>
          <thead><tr><th>When</th><th>What</th><th>Who</th><th>From</th><th>More</th></tr></thead>
          <tbody>
            {events.map((e) => (
              <tr key={e.id}><td>{when(e.at)}</td><td>{e.kind.replaceAll("_", " ")}</td><td class="key">{e.public_key.slice(0, 12) || e.actor}</td><td>{e.ip}</td><td>{e.detail}</td></tr>
            ))}
          </tbody>
        </table>
      </div>
      {next && <button onClick={() => void load(next)}>Older</button>}
    </>
  );
}
