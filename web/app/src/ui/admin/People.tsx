import { useEffect, useState } from "preact/hooks";
import { get, post } from "../../core/api";
import { reach } from "../../core/heaps";
import { account } from "../../core/session";
import { bytes, many, when } from "../format";
import { attempt } from "../Toasts";

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

/** People lets accounts in, and locks them out. */
export function People() {
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
