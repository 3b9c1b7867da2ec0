import { useEffect, useState } from "preact/hooks";
import type { FileInfo } from "../core/heaps";
import { here, thumbnail, ticket, type Ticket } from "../core/pictures";
import { bytes } from "./format";
import { Picture } from "./Picture";
import { attempt, toast, words } from "./Toasts";

/** FileView shows a block's file, or plays it. */
export function FileView({ heap, block, file }: { heap: string; block: string; file: FileInfo }) {
  const [way, setWay] = useState<Ticket>();
  const [poster, setPoster] = useState<string>();
  const [wrong, setWrong] = useState("");
  useEffect(() => {
    setWrong("");
    ticket(heap, block).then(setWay, (err: unknown) => setWrong(words(err)));
    if (file.mime.startsWith("video/")) thumbnail(heap, block, file.hash, 1024).then(setPoster, () => {});
  }, [heap, block, file.hash]);
  const copy = () =>
    attempt(async () => {
      if (!navigator.clipboard) throw new Error("This browser lets nobody copy over plain http. The link is shown below.");
      await navigator.clipboard.writeText(way!.stream_url);
      toast("The link is in the clipboard. Whoever has it can play this file for twelve hours.");
    });
  const facts = [file.mime, bytes(file.size), file.width && file.height ? `${file.width} × ${file.height}` : "", file.duration ? time(file.duration) : ""];
  return (
    <figure class="file">
      {!way ? <Picture heap={heap} block={block} file={file} size={1024} /> : <Shown file={file} address={here(way.stream_url)} poster={poster} heap={heap} block={block} />}
      {wrong && <p class="error" role="alert">{wrong}</p>}
      <figcaption>
        <span class="member-name">{file.name}<br /><span class="quiet">{facts.filter(Boolean).join(" · ")}</span></span>
        {way && (
          <span class="actions">
            <a class="button" href={here(way.url) + "&download=1"} download={file.name} target="_blank" rel="noopener">Download</a>
            <button onClick={() => void copy()}>Copy a link for players</button>
          </span>
        )}
      </figcaption>
      {way && !navigator.clipboard && <input readOnly aria-label="Link for players" value={way.stream_url} onFocus={(e) => e.currentTarget.select()} />}
    </figure>
  );
}

interface Shows {
  file: FileInfo;
  address: string;
  poster?: string;
  heap: string;
  block: string;
}

/** Pictures that browsers show themselves. */
const plain = /^image\/(png|jpeg|gif|webp|avif)$/;

function Shown({ file, address, poster, heap, block }: Shows) {
  const [failed, setFailed] = useState(false);
  if (file.mime.startsWith("video/") && !failed) {
    return <video controls preload="metadata" playsInline src={address} poster={poster} onError={() => setFailed(true)} />;
  }
  if (file.mime.startsWith("audio/") && !failed) {
    return <audio controls preload="metadata" src={address} onError={() => setFailed(true)} />;
  }
  if (plain.test(file.mime) && !failed) return <img class="shown" src={address} alt={file.name} onError={() => setFailed(true)} />;
  if (file.mime === "application/pdf" && !failed) {
    return (
      <>
        {navigator.pdfViewerEnabled ? <iframe class="document" src={address} title={file.name} /> : <Picture heap={heap} block={block} file={file} size={2048} alt={file.name} />}
        <a href={address} target="_blank" rel="noopener">Open the document in a tab of its own</a>
      </>
    );
  }
  return (
    <>
      <Picture heap={heap} block={block} file={file} size={2048} alt={file.name} />
      {failed && <p class="quiet">This browser cannot show it. Download it, or play it with another program.</p>}
    </>
  );
}

function time(seconds: number): string {
  const s = Math.round(seconds);
  const parts = [Math.floor(s / 3600), Math.floor((s % 3600) / 60), s % 60];
  return (parts[0] ? parts : parts.slice(1)).map((n, i) => (i ? String(n).padStart(2, "0") : n)).join(":");
}
