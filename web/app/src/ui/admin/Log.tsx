import { useEffect, useState } from "preact/hooks";
import { get } from "../../core/api";
import { reach } from "../../core/heaps";
import { when } from "../format";
import { attempt } from "../Toasts";

interface AuditEvent {
  id: number;
  at: number;
  kind: string;
  actor: string;
  public_key: string;
  ip: string;
  detail: string;
}

/** Log lists what concerned accounts and sessions. */
export function Log() {
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
        <table class="log">
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
