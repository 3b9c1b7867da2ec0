import { useEffect, useState } from "preact/hooks";
import { devicesOf, endDevice, nameOf, type Device, type User } from "../../core/admin";
import { Dialog } from "../Dialog";
import { when } from "../format";
import { attempt } from "../Toasts";

/** Devices are those that somebody is signed in on. */
export function Devices({ user, close }: { user: User; close: () => void }) {
  const [list, setList] = useState<Device[]>();
  const load = () => attempt(async () => setList(await devicesOf(user)));
  useEffect(() => void load(), []);
  const end = (id: string) => attempt(async () => {
    await endDevice(user, id);
    await load();
  });
  return (
    <Dialog title={`Devices of ${nameOf(user)}`} close={close}>
      {!list ? <p class="loading" aria-busy="true" /> : list.length === 0 ? <p class="quiet">Signed in on none.</p> : (
        <ul class="members">
          {list.map((d) => (
            <li key={d.id}>
              <span class="member-name"><strong>{d.device_name || "Unnamed device"}</strong>{d.current && " (this one)"}<br /><span class="quiet">last seen {when(d.last_seen_at)} from {d.ip}</span></span>
              {!d.current && <button class="danger" onClick={() => void end(d.id)} aria-label={`Sign out ${d.device_name || "this device"}`}>Sign out</button>}
            </li>
          ))}
        </ul>
      )}
      <p class="quiet">A device that still has the key can sign in again. To keep somebody out, block the account.</p>
    </Dialog>
  );
}
