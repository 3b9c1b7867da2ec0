import { useRef } from "preact/hooks";
import { Download, FolderInput } from "lucide";
import { exportOf, importInto } from "../core/archive";
import { mayEdit, type Heap } from "../core/heaps";
import { many } from "./format";
import { Icon } from "./Icon";
import { attempt, toast } from "./Toasts";

/** takeIn imports an archive and says what came of it. */
export const takeIn = (heap: string, archive: Blob): Promise<void | undefined> =>
  attempt(async () => {
    toast("The archive is on its way.");
    const done = await importInto(heap, archive);
    toast(`${many(done.imported, "block is", "blocks are")} imported.`);
    const [first] = done.failed ?? [];
    if (first) toast(`${many(done.failed!.length, "file", "files")} could not be imported: ${first.name} (${first.code})`, "error");
  });

/** ArchiveMenu takes a heap out as an archive, or one into it. */
export function ArchiveMenu({ heap }: { heap: Heap }) {
  const pick = useRef<HTMLInputElement>(null);
  return (
    <>
      {mayEdit(heap) && (
        <>
          <button class="plain" onClick={() => pick.current!.click()}><Icon of={FolderInput} />Import…</button>
          <input ref={pick} type="file" accept=".zip,application/zip" hidden aria-label="Archive to import" onChange={(e) => {
            const [file] = e.currentTarget.files ?? [];
            if (file) void takeIn(heap.id, file);
            e.currentTarget.value = "";
          }} />
        </>
      )}
      <button class="plain" onClick={() => void attempt(() => exportOf(heap.id, heap.name))}><Icon of={Download} />Export</button>
    </>
  );
}
