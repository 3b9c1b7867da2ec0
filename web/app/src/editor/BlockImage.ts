import { Image } from "@tiptap/extension-image";
import { listen } from "../core/events";
import { knownBlock, reach, remember, type Block } from "../core/heaps";
import { post } from "../core/api";
import { thumbnail } from "../core/pictures";
import { localFile } from "../core/uploads";
import { targetOf } from "./links";

/** BlockImage is an image of a note. One whose address names a block shows that block's file; those of other servers are links, for loading them would tell that server who reads. */
export const BlockImage = Image.extend<{ heap: string }>({
  addOptions() {
    return { ...this.parent?.(), heap: "" };
  },
  addNodeView() {
    const { heap } = this.options;
    return ({ node }) => {
      const src = String(node.attrs.src ?? "");
      const dom = document.createElement("figure");
      dom.className = "image";
      const id = targetOf(src);
      if (id) return { dom, destroy: show(dom, heap, id, String(node.attrs.alt ?? "")) };
      const link = document.createElement("a");
      link.textContent = `🖼 ${String(node.attrs.alt || src)}`;
      if (/^https?:\/\//i.test(src)) {
        link.href = src;
        link.target = "_blank";
        link.rel = "noopener noreferrer";
      }
      dom.append(link);
      return { dom };
    };
  },
});

/** show puts the picture of a block's file into dom, as soon as there is one. It returns how to stop. */
function show(dom: HTMLElement, heap: string, id: string, alt: string): () => void {
  let here = true;
  let own: string | undefined; // an address to be given back
  const put = (address: string, text: string) => {
    if (!here) return;
    const img = document.createElement("img");
    img.src = address;
    img.alt = text;
    dom.replaceChildren(img);
  };
  const local = localFile(id);
  if (local?.type.startsWith("image/")) put((own = URL.createObjectURL(local)), alt || local.name);
  else dom.textContent = `🖼 ${alt || "…"}`;
  const load = async () => {
    const block = await blockOf(heap, id);
    const address = block?.file && (await thumbnail(heap, id, block.file.hash, 1024));
    if (address && block) put(address, alt || block.title);
  };
  const attempt = () => void load().catch(() => {}); // what is there stays; it is tried again at the next event
  attempt();
  const stop = listen(heap, ({ event, block_id }) => {
    if (event === "again" || (event === "file.ready" && block_id === id)) attempt();
  });
  return () => {
    here = false;
    stop();
    if (own) URL.revokeObjectURL(own);
  };
}

async function blockOf(heap: string, id: string): Promise<Block | undefined> {
  const known = await knownBlock(heap, id);
  if (known?.file) return known;
  const { block } = await reach(() => post<{ block: Block }>(`/api/block/${encodeURIComponent(id)}`, { heap_id: heap }));
  await remember(heap, [block]);
  return block;
}
