import type { LiveDocument } from "../core/live";

/** SyncBadge tells the truth: the server's acknowledgement means that the edit is on its disk. */
export function SyncBadge({ live }: { live: LiveDocument }) {
  const [kind, text] = badge(live);
  return (
    <span class={`badge ${kind}`} role="status" aria-live="polite" data-saved={live.saved.value}>
      {text}
    </span>
  );
}

function badge(live: LiveDocument): [string, string] {
  if (live.trouble.value) return ["bad", `Not kept in this browser: ${live.trouble.value}`];
  if (live.link.value === "readonly") return ["", "You can read this"];
  switch (live.saved.value) {
    case "saving":
      return ["", "Saving…"];
    case "here":
      return ["warn", live.link.value === "live" ? "Saved on this device…" : "Saved on this device"];
    case "server":
      return live.link.value === "live" ? ["good", "Safe on the server"] : ["", live.link.value === "connecting" ? "Offline, nothing waits" : "Not connected"];
  }
}
