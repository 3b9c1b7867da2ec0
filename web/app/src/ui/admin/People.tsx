import { useEffect, useState } from "preact/hooks";
import { nameOf, usersAfter, type User } from "../../core/admin";
import { post } from "../../core/api";
import { reach } from "../../core/heaps";
import { account } from "../../core/session";
import { bytes, many, when } from "../format";
import { attempt } from "../Toasts";
import { Devices } from "./Devices";

/** People lets accounts in, and locks them out. */
export function People() {
  const [users, setUsers] = useState<User[]>();
  const [devices, setDevices] = useState<User>();
  const [next, setNext] = useState<string | null>(null);
  const load = (cursor: string | null) => attempt(async () => {
    const page = await usersAfter(cursor);
    setUsers((known) => (cursor ? [...(known ?? []), ...page.users] : page.users));
    setNext(page.next_cursor);
  });
  useEffect(() => void load(null), []);
  const act = (user: User, what: string) => attempt(async () => {
    const { user: now } = await reach(() => post<{ user: User }>(`/api/admin/users/${encodeURIComponent(user.id)}/${what}`));
    setUsers((known) => known?.map((u) => (u.id === now.id ? now : u)));
  });
  if (!users) return <p class="loading" aria-busy="true" />;
  const waiting = users.filter((u) => u.status === "pending");
  const rest = users.filter((u) => u.status !== "pending");
  return (
    <>
      <h2>Waiting</h2>
      {waiting.length === 0 && <p class="quiet">Nobody waits for approval.</p>}
      <ul class="members">
        {waiting.map((u) => (
          <li key={u.id}>
            <span class="member-name"><span class="key">{u.public_key}</span><br /><span class="quiet">{[u.email, `since ${when(u.created_at)}`].filter(Boolean).join(" · ")}</span></span>
            <button class="main" onClick={() => void act(u, "approve")} aria-label={`Approve ${nameOf(u)}`}>Approve</button>
            <button class="danger" onClick={() => void act(u, "block")} aria-label={`Block ${nameOf(u)}`}>Block</button>
          </li>
        ))}
      </ul>
      <h2>Accounts</h2>
      <p class="quiet">To block an account signs all of its devices out at once.</p>
      <ul class="members">
        {rest.map((u) => (
          <li key={u.id}>
            <span class="member-name">
              <strong title={u.public_key}>{nameOf(u)}</strong>{u.id === account.value?.id && " (you)"}{u.is_admin && " · administrator"}{u.status === "blocked" && <> <span class="badge bad">blocked</span></>}<br />
              <span class="quiet">{many(u.usage.heaps, "heap", "heaps")}, {bytes(u.usage.storage_bytes)}{u.last_seen_at ? ` · seen ${when(u.last_seen_at)}` : ""}</span>
            </span>
            {u.status === "active" && <button onClick={() => setDevices(u)} aria-label={`Devices of ${nameOf(u)}`}>Devices</button>}
            {u.id !== account.value?.id && (
              <>
                {u.status === "blocked" ? <button onClick={() => void act(u, "approve")} aria-label={`Unblock ${nameOf(u)}`}>Unblock</button>
                  : <button class="danger" onClick={() => void act(u, "block")} aria-label={`Block ${nameOf(u)}`}>Block</button>}
                {u.status === "active" && <button onClick={() => void act(u, u.is_admin ? "demote" : "promote")} aria-label={u.is_admin ? `Demote ${nameOf(u)}` : `Make administrator: ${nameOf(u)}`}>{u.is_admin ? "Demote" : "Make administrator"}</button>}
              </>
            )}
          </li>
        ))}
      </ul>
      {devices && <Devices user={devices} close={() => setDevices(undefined)} />}
      {next && <button onClick={() => void load(next)}>More</button>}
    </>
  );
}
