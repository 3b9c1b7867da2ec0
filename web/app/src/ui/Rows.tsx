import { Folder } from "lucide";
import type { Block } from "../core/heaps";
import { tagsOf } from "../core/labels";
import { blockPath } from "../core/router";
import { bytes, onDay } from "./format";
import { Icon } from "./Icon";
import { Marked } from "./Marked";
import { Picture } from "./Picture";

export const nameOf = (block: Block): string => block.title || block.file?.name || "Untitled";

/** Row is a block in a list, with the place where it lies if that is not clear; without a block, room for it. */
export function Row({ heap, block, place }: { heap: string; block: Block | undefined; place?: string }) {
  if (!block) return <div class="row" aria-busy="true"><span class="to-come" /></div>;
  const tags = tagsOf(block.apps);
  const folder = block.type === "folder";
  return (
    <a class={`row ${block.file || folder ? "with-picture" : ""}`} href={blockPath(heap, block.block_id)}>
      {block.file && <Picture heap={heap} block={block.block_id} file={block.file} size={128} />}
      {folder && <span class="picture sign"><Icon of={Folder} /></span>}
      <span class="row-title"><Marked text={nameOf(block)} ranges={block.title ? block.title_matches : undefined} /></span>
      <span class="row-end quiet">{place && `${place} · `}<time dateTime={new Date(block.updated_at).toISOString()}>{onDay(block.updated_at)}</time></span>
      <span class="row-text quiet">
        {tags.slice(0, 5).map((tag) => <span key={tag} class="tag">#{tag}</span>)}
        {block.file && `${bytes(block.file.size)} `}
        {folder && block.children > 0 && `${block.children.toLocaleString()} inside `}
        <Marked text={block.snippet ?? ""} ranges={block.matches} />
      </span>
    </a>
  );
}

/** Cell is a block in a grid; without one, a place for it. */
export function Cell({ heap, block }: { heap: string; block: Block | undefined }) {
  if (!block) return <div class="cell" aria-busy="true"><span class="picture sign" /></div>;
  return (
    <a class="cell" href={blockPath(heap, block.block_id)}>
      {block.file ? <Picture heap={heap} block={block.block_id} file={block.file} size={256} />
        : block.type === "folder" ? <span class="picture sign"><Icon of={Folder} /></span>
        : <span class="cell-text quiet">{block.snippet}</span>}
      <span class="row-title">{nameOf(block)}</span>
    </a>
  );
}
