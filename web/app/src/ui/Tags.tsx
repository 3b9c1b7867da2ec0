import { useEffect, useState } from "preact/hooks";
import type { Doc } from "yjs";
import { X } from "lucide";
import { tagsOf } from "../core/labels";
import { appsOf, setTag } from "../core/tags";
import { Icon } from "./Icon";

/** Tags are those of a document. */
export function Tags({ doc, editable }: { doc: Doc; editable: boolean }) {
  const read = () => tagsOf(appsOf(doc));
  const [tags, setTags] = useState(read);
  const [text, setText] = useState("");
  useEffect(() => {
    const about = doc.getMap("block");
    const changed = () => setTags(read());
    changed();
    about.observeDeep(changed);
    return () => about.unobserveDeep(changed);
  }, [doc]);
  const add = (e: Event) => {
    e.preventDefault();
    for (const tag of text.split(",")) setTag(doc, tag, true);
    setText("");
  };
  if (!editable && tags.length === 0) return null;
  return (
    <div class="tags">
      <ul aria-label="Tags">
        {tags.map((tag) => (
          <li key={tag} class="tag">
            #{tag}
            {editable && <button class="plain" aria-label={`Take the tag ${tag} off`} onClick={() => setTag(doc, tag, false)}><Icon of={X} /></button>}
          </li>
        ))}
      </ul>
      {editable && (
        <form onSubmit={add}>
          <input aria-label="Add a tag" placeholder="+ tag" maxLength={64} value={text} onInput={(e) => setText(e.currentTarget.value)} enterKeyHint="done" />
        </form>
      )}
    </div>
  );
}
