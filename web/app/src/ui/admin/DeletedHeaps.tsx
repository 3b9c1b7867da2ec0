import { useEffect, useState } from "preact/hooks";
import { get, post } from "../../core/api";
import { loadHeaps, reach } from "../../core/heaps";
import { onDay, when } from "../format";
import { attempt } from "../Toasts";

interface Deleted {
  id: string;
  name: string;
  deleted_at: number;
  purge_at: number;
}

/** DeletedHeaps brings heaps back that their owners have deleted, until they are gone for good. */
export function DeletedHeaps() {
  const [list, setList] = useState<Deleted[]>();
  const load = () => attempt(async () => setList((await reach(() => get<{ heaps: Deleted[] }>("/api/admin/heaps/deleted"))).heaps));
  useEffect(() => void load(), []);
  const restore = (heap: Deleted) => attempt(async () => {
    await reach(() => post(`/api/admin/heaps/${encodeURIComponent(heap.id)}/restore`));
    await load();
    await loadHeaps(); // it may be one's own
  });
  if (!list || list.length === 0) return null;
  return (
    <>
      <h2>Deleted heaps</h2>
      <ul class="members">
        {list.map((heap) => (
          <li key={heap.id}>
            <span class="member-name">
              <strong>{heap.name || "Untitled"}</strong><br />
              <span class="quiet">deleted {when(heap.deleted_at)}, gone for good on {onDay(heap.purge_at)}</span>
            </span>
            <button onClick={() => void restore(heap)} aria-label={`Bring back ${heap.name || "Untitled"}`}>Bring back</button>
          </li>
        ))}
      </ul>
    </>
  );
}
