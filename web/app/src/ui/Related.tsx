import { blockPath } from "../core/router";

export interface Relation {
  id: string;
  kind: string;
  target: string;
  title?: string;
}

export interface Backlink {
  block_id: string;
  title: string;
  id: string;
  kind: string;
}

/** Related are the blocks that a block leads to, and those that lead to it. */
export function Related({ heap, relations, backlinks }: { heap: string; relations: Relation[]; backlinks: Backlink[] }) {
  const to = relations.filter((r) => r.title !== undefined); // others are gone, or not there yet
  if (to.length + backlinks.length === 0) return null;
  return (
    <aside class="related" aria-label="Links">
      <Group heap={heap} title="Linked from here" links={to.map((r) => ({ id: r.target, title: r.title!, kind: r.kind }))} />
      <Group heap={heap} title="What links here" links={backlinks.map((b) => ({ id: b.block_id, title: b.title, kind: b.kind }))} />
    </aside>
  );
}

function Group({ heap, title, links }: { heap: string; title: string; links: { id: string; title: string; kind: string }[] }) {
  if (links.length === 0) return null;
  return (
    <section>
      <h2>{title}</h2>
      <ul>
        {links.map((l) => (
          <li key={`${l.id} ${l.kind}`}>
            <a href={blockPath(heap, l.id)}>{l.title || "Untitled"}</a>{l.kind && l.kind !== "link" && <span class="quiet"> {l.kind}</span>}
          </li>
        ))}
      </ul>
    </section>
  );
}
