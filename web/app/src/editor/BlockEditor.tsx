import { useEffect, useRef, useState } from "preact/hooks";
import type { Editor } from "@tiptap/core";
import { Link, Paperclip } from "lucide";
import * as Y from "yjs";
import { openLive, type LiveDocument } from "../core/live";
import { account } from "../core/session";
import { heapOf, mayEdit, type FileInfo } from "../core/heaps";
import { blockPath, go } from "../core/router";
import { attach } from "./attach";
import { addressOf, followLinks, insertLink, targetOf } from "./links";
import { makeEditor } from "./tiptap";
import { Toolbar, type Tool } from "./Toolbar";
import { SyncBadge } from "./SyncBadge";
import { FileView } from "../ui/FileView";
import { Tags } from "../ui/Tags";
import { LinkDialog } from "../ui/LinkDialog";
import { nameOf } from "../ui/Rows";
import { attempt, words } from "../ui/Toasts";
import "./editor.css";

/** BlockEditor shows a block's document, and edits it as far as one may. */
export function BlockEditor({ heap, block }: { heap: string; block: string }) {
  const [live, setLive] = useState<LiveDocument>();
  const [failed, setFailed] = useState("");
  useEffect(() => {
    let opened: LiveDocument | undefined;
    let here = true;
    setLive(undefined);
    openLive(heap, block).then(
      (document) => {
        opened = document;
        if (here) setLive(document);
        else document.close();
      },
      (err: unknown) => setFailed(words(err)),
    );
    return () => {
      here = false;
      opened?.close();
    };
  }, [heap, block]);
  if (failed) return <p class="error" role="alert">{failed}</p>;
  if (!live) return <p class="loading" aria-busy="true" />;
  return <Opened key={block} live={live} />;
}

function Opened({ live }: { live: LiveDocument }) {
  const [editor, setEditor] = useState<Editor>();
  const [linking, setLinking] = useState(false);
  const place = useRef<HTMLDivElement>(null);
  const pick = useRef<HTMLInputElement>(null);
  const file = useFile(live);
  const editable = mayEdit(heapOf(live.heap)) && live.link.value !== "readonly" && live.link.value !== "refused";
  useEffect(() => {
    const made = makeEditor(place.current!, live, who(), {
      link: () => setLinking(true),
      files: (files, at) => void attempt(() => attach(made, live.heap, live.id, files, at)),
    });
    const stop = followLinks(made, live.doc);
    setEditor(made);
    return () => {
      stop();
      made.destroy();
    };
  }, [live]);
  useEffect(() => void editor?.setEditable(editable), [editor, editable]);
  const link = (address: string, name: string) => {
    setLinking(false);
    insertLink(editor!, address, name);
  };
  const more: Tool[] = [
    { name: "Link", icon: Link, on: (e) => e.isActive("link"), run: () => setLinking(true) },
    { name: "Picture or file", icon: Paperclip, run: () => pick.current!.click() },
  ];
  // A click leads to a block; to an address of the web only where it cannot be meant for writing.
  const follow = (e: MouseEvent) => {
    const address = (e.target as Element).closest?.("a")?.getAttribute("href") ?? "";
    const id = targetOf(address);
    const special = e.metaKey || e.ctrlKey;
    if (e.button !== 0 || e.shiftKey || e.altKey) return;
    if (id && !special) {
      e.preventDefault();
      go(blockPath(live.heap, id));
    } else if (/^(https?:|mailto:)/i.test(address) && (special || !editable)) {
      e.preventDefault();
      window.open(address, "_blank", "noopener,noreferrer");
    }
  };
  return (
    <article class="note">
      <div class="note-head">
        <Title doc={live.doc} editable={editable} otherwise={file?.name} />
        <SyncBadge live={live} />
      </div>
      <Tags doc={live.doc} editable={editable} />
      {live.link.value === "refused" && (
        <p class="notice" role="alert">
          {live.reason.value === "deleted" ? "This block was deleted for good. What is here is your copy." : `The server refuses this block: ${live.reason.value}`}
        </p>
      )}
      {file && <FileView heap={live.heap} block={live.id} file={file} />}
      {editor && editable && <Toolbar editor={editor} more={more} />}
      <div ref={place} class="note-body" onClick={follow} />
      {editor && (
        <input ref={pick} type="file" multiple hidden aria-label="Files for this note" onChange={(e) => {
          const files = [...(e.currentTarget.files ?? [])];
          e.currentTarget.value = "";
          if (files.length > 0) void attempt(() => attach(editor, live.heap, live.id, files));
        }} />
      )}
      {editor && linking && (
        <LinkDialog
          heap={live.heap} from={live.id} linked={editor.isActive("link")} close={() => setLinking(false)}
          choose={(block) => link(addressOf(block.block_id), nameOf(block))}
          address={(address) => link(address, address)}
          remove={() => { setLinking(false); editor.chain().focus().extendMarkRange("link").unsetLink().run(); }}
        />
      )}
    </article>
  );
}

/** useFile is the block's file, if its document says that there is one. */
function useFile(live: LiveDocument): FileInfo | undefined {
  const about = live.doc.getMap("block");
  const read = (): FileInfo | undefined => {
    const file = about.get("file");
    return file instanceof Y.Map && typeof file.get("hash") === "string" ? (file.toJSON() as FileInfo) : undefined;
  };
  const [file, setFile] = useState(read);
  useEffect(() => {
    const changed = () => setFile(read());
    changed();
    about.observeDeep(changed);
    return () => about.unobserveDeep(changed);
  }, [live]);
  return file;
}

/** Title is the title in the document, or what is shown without one. It is written when typing rests. */
function Title({ doc, editable, otherwise = "Untitled" }: { doc: Y.Doc; editable: boolean; otherwise?: string }) {
  const about = doc.getMap("block");
  const current = () => String(about.get("title") ?? "");
  const [text, setText] = useState(current);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const typed = useRef<string>(undefined);
  const store = () => {
    clearTimeout(timer.current);
    if (typed.current !== undefined && typed.current !== current()) about.set("title", typed.current);
    typed.current = undefined;
  };
  useEffect(() => {
    const changed = () => {
      if (typed.current === undefined) setText(current());
    };
    changed();
    about.observe(changed);
    return () => {
      store();
      about.unobserve(changed);
    };
  }, [doc]);
  return (
    <input
      class="note-title" aria-label="Title" placeholder={otherwise} maxLength={500} value={text} readOnly={!editable}
      onInput={(e) => {
        typed.current = e.currentTarget.value;
        setText(e.currentTarget.value);
        clearTimeout(timer.current);
        timer.current = setTimeout(store, 400);
      }}
      onBlur={store}
    />
  );
}

const colours = ["#c2410c", "#047857", "#1d4ed8", "#a21caf", "#b91c1c", "#4d7c0f", "#0e7490", "#6d28d9"];

/** who is what others see beside our cursor. */
function who(): { name: string; color: string } {
  const me = account.value;
  const name = me?.name || me?.public_key.slice(0, 6) || "somebody";
  const sum = [...(me?.public_key ?? "")].reduce((n, c) => n + c.charCodeAt(0), 0);
  return { name, color: colours[sum % colours.length]! };
}
