import { useEffect, useState } from "preact/hooks";
import { File, FileText, Film, Image, Music, type IconNode } from "lucide";
import { thumbHashToDataURL } from "thumbhash";
import { fromBase64 } from "../core/bytes";
import type { FileInfo } from "../core/heaps";
import { thumbnail } from "../core/pictures";
import { Icon } from "./Icon";

/** pictured says whether a file may have a picture at all. */
const pictured = (mime: string): boolean => /^(image|video|audio)\/|^application\/pdf$/.test(mime);

/** Picture is a file's thumbnail; until it comes, its blurred shadow or a sign of its kind. */
export function Picture({ heap, block, file, size, alt = "" }: { heap: string; block: string; file: FileInfo; size: number; alt?: string }) {
  const [address, setAddress] = useState<string>();
  useEffect(() => {
    const gone = new AbortController();
    setAddress(undefined);
    if (pictured(file.mime)) thumbnail(heap, block, file.hash, size, gone.signal).then((url) => gone.signal.aborted || setAddress(url), () => {});
    return () => gone.abort();
  }, [file.hash, size]);
  const shown = address ?? shadow(file.thumbhash);
  return shown ? <img class="picture" src={shown} alt={alt} /> : <span class="picture sign"><Icon of={signOf(file.mime)} /></span>;
}

function shadow(hash: string | undefined): string | undefined {
  try {
    return hash ? thumbHashToDataURL(fromBase64(hash)) : undefined;
  } catch {
    return undefined; // somebody wrote something else there
  }
}

const signs: Record<string, IconNode> = { image: Image, video: Film, audio: Music, text: FileText };

/** signOf is the icon of a kind of files. */
export function signOf(mime: string): IconNode {
  return signs[mime.split("/")[0]!] ?? (mime === "application/pdf" ? FileText : File);
}
