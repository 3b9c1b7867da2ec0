import { heapPath } from "../core/router";
import { heaps } from "../core/heaps";
import { many } from "./format";
import { NewHeap } from "./NewHeap";
import { SearchAll } from "./SearchAll";
import { useTitle } from "./useTitle";

/** HomePage is where one comes in: the heaps, and a search in all of them. */
export function HomePage() {
  useTitle("");
  if (!heaps.value) return <p class="loading" aria-busy="true" />;
  return (
    <section class="home">
      <h1>{heaps.value.length > 0 ? "Your heaps" : "Welcome"}</h1>
      {heaps.value.length === 0 ? (
        <>
          <p>A heap holds notes and files, and is shared as a whole. Make the first one.</p>
          <NewHeap />
        </>
      ) : (
        <SearchAll>
          <ul class="cards">
            {heaps.value.map((heap) => (
              <li key={heap.id}>
                <a class="heap-card" href={heapPath(heap.id)}>
                  <strong>{heap.name || "Untitled"}</strong>
                  <span class="quiet">{many(heap.blocks, "block", "blocks")} · {heap.role}</span>
                </a>
              </li>
            ))}
          </ul>
        </SearchAll>
      )}
    </section>
  );
}
