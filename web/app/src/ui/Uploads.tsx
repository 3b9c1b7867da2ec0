import { useEffect, useState } from "preact/hooks";
import { ChevronDown, ChevronUp, X } from "lucide";
import { cancel, pause, resume, retry, uploads, type Upload } from "../core/uploads";
import { Icon } from "./Icon";
import { bytes, many } from "./format";
import { attempt } from "./Toasts";

let resumed = false;

/** Uploads shows what is on its way. */
export function Uploads() {
  const [open, setOpen] = useState(true);
  useEffect(() => {
    if (resumed) return;
    resumed = true;
    void attempt(resume);
  }, []);
  const all = uploads.value;
  if (all.length === 0) return null;
  const left = all.filter((u) => u.stage.value !== "done").length;
  return (
    <section class="uploads" aria-label="Uploads">
      <button class="plain" aria-expanded={open} onClick={() => setOpen(!open)}>
        {left > 0 ? `${many(left, "file", "files")} on the way` : "All files are there"} <Icon of={open ? ChevronDown : ChevronUp} />
      </button>
      {open && <ul>{all.map((u) => <Row key={u.id} upload={u} />)}</ul>}
    </section>
  );
}

function Row({ upload }: { upload: Upload }) {
  const stage = upload.stage.value;
  const words = {
    waiting: "waits",
    hashing: "is read",
    sending: `${bytes(upload.sent.value)} of ${bytes(upload.size)}`,
    paused: "paused",
    failed: upload.reason.value,
    done: "safe on the server",
  }[stage];
  return (
    <li>
      <span class="upload-name">{upload.name}</span>
      <progress max={Math.max(upload.size, 1)} value={stage === "done" ? Math.max(upload.size, 1) : upload.sent.value} aria-label={upload.name} />
      <span class={`quiet upload-words ${stage === "failed" ? "error" : ""}`}>{words}</span>
      {(stage === "hashing" || stage === "sending" || stage === "waiting") && <button class="plain" aria-label={`Pause ${upload.name}`} onClick={() => pause(upload)}>⏸</button>}
      {(stage === "paused" || stage === "failed") && <button class="plain" aria-label={`Go on with ${upload.name}`} onClick={() => retry(upload)}>▶</button>}
      {stage !== "done" && <button class="plain" aria-label={`Cancel ${upload.name}`} onClick={() => cancel(upload)}><Icon of={X} /></button>}
    </li>
  );
}
