import { useEffect, useState } from "preact/hooks";
import { X } from "lucide";
import { call, get, post } from "../core/api";
import { heapOf, loadHeaps, reach, type Role } from "../core/heaps";
import { go } from "../core/router";
import { account } from "../core/session";
import { Dialog } from "./Dialog";
import { Icon } from "./Icon";
import { onDay } from "./format";
import { attempt, toast } from "./Toasts";

interface Member {
  user_id: string;
  public_key: string;
  name: string;
  role: Role;
}

interface Invite {
  id: string;
  role: Role;
  expires_at: number;
  max_uses: number | null;
  uses: number;
}

const roles: [Role, string][] = [
  ["editor", "can edit"],
  ["commenter", "can comment"],
  ["viewer", "can read"],
];

/** ShareDialog says who is in a heap, and lets its owner change that. */
export function ShareDialog({ heap, close }: { heap: string; close: () => void }) {
  const path = `/api/heap/${encodeURIComponent(heap)}`;
  const owner = heapOf(heap)?.role === "owner";
  const [members, setMembers] = useState<Member[]>();
  const [invites, setInvites] = useState<Invite[]>([]);
  const [role, setRole] = useState<Role>("editor");
  const [key, setKey] = useState("");
  const [link, setLink] = useState("");

  const load = () =>
    attempt(async () => {
      setMembers((await reach(() => get<{ members: Member[] }>(`${path}/members`))).members);
      if (owner) setInvites((await reach(() => get<{ invites: Invite[] }>(`${path}/invites`))).invites);
    });
  useEffect(() => void load(), [heap]);

  const change = (what: () => Promise<unknown>) => attempt(async () => { await reach(what); await load(); });
  const add = (e: Event) => {
    e.preventDefault();
    void change(async () => {
      await post(`${path}/members`, { public_key: key.trim(), role });
      setKey("");
    });
  };
  const invite = () => attempt(async () => {
    const made = await reach(() => post<{ code: string }>(`${path}/invites`, { role }));
    const url = `${location.origin}/invite/${made.code}`;
    setLink(url);
    await navigator.clipboard?.writeText(url).then(() => toast("The link is in the clipboard."), () => {});
    await load();
  });
  const leave = (member: Member) => {
    const mine = member.user_id === account.value?.id;
    if (!confirm(mine ? "You leave this heap, and see nothing of it any more. Go on?" : `${nameOf(member)} sees nothing of this heap any more. Go on?`)) return;
    void attempt(async () => {
      await reach(() => call("DELETE", `${path}/members/${encodeURIComponent(member.user_id)}`));
      if (!mine) return load();
      close();
      await loadHeaps();
      go("/");
    });
  };

  return (
    <Dialog title="Share" close={close}>
      <ul class="members">
        {members?.map((m) => (
          <li key={m.user_id}>
            <span class="member-name" title={m.public_key}>{nameOf(m)}{m.user_id === account.value?.id && " (you)"}</span>
            {owner && m.role !== "owner" ? (
              <select aria-label={`What ${nameOf(m)} may do`} value={m.role}
                onChange={(e) => void change(() => post(`${path}/members`, { public_key: m.public_key, role: e.currentTarget.value }))}>
                {roles.map(([role, text]) => <option key={role} value={role}>{text}</option>)}
              </select>
            ) : <span class="quiet">{m.role === "owner" ? "owner" : roles.find(([r]) => r === m.role)?.[1]}</span>}
            {(owner ? m.role !== "owner" : m.user_id === account.value?.id) && (
              <button class="plain" aria-label={m.user_id === account.value?.id ? "Leave this heap" : `Remove ${nameOf(m)}`} onClick={() => leave(m)}><Icon of={X} /></button>
            )}
          </li>
        ))}
      </ul>
      {owner && (
        <>
          <h3>Let somebody in</h3>
          <label>
            They
            <select value={role} onChange={(e) => setRole(e.currentTarget.value as Role)}>
              {roles.map(([role, text]) => <option key={role} value={role}>{text}</option>)}
            </select>
          </label>
          <button class="main" onClick={() => void invite()}>Make a link</button>
          {link && (
            <label>
              Whoever has this link can join, for seven days
              <input readOnly value={link} onFocus={(e) => e.currentTarget.select()} />
            </label>
          )}
          <form class="by-key" onSubmit={add}>
            <label>
              Or by their public key
              <input name="public_key" value={key} required spellcheck={false} autoComplete="off" onInput={(e) => setKey(e.currentTarget.value)} />
            </label>
            <button>Add</button>
          </form>
          {invites.length > 0 && (
            <>
              <h3>Open links</h3>
              <ul class="members">
                {invites.map((i) => (
                  <li key={i.id}>
                    <span class="member-name">{roles.find(([r]) => r === i.role)?.[1]}, until {onDay(i.expires_at)}</span>
                    <span class="quiet">{i.max_uses ? `used ${i.uses} of ${i.max_uses} times` : `used ${i.uses} times`}</span>
                    <button class="plain" aria-label="Withdraw the link" onClick={() => void change(() => call("DELETE", `${path}/invites/${encodeURIComponent(i.id)}`))}><Icon of={X} /></button>
                  </li>
                ))}
              </ul>
            </>
          )}
        </>
      )}
    </Dialog>
  );
}

const nameOf = (m: Member): string => m.name || `${m.public_key.slice(0, 10)}…`;
