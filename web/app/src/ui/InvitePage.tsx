import { useEffect, useState } from "preact/hooks";
import { post } from "../core/api";
import { loadHeaps, reach } from "../core/heaps";
import { go, heapPath } from "../core/router";
import { words } from "./Toasts";
import { useTitle } from "./useTitle";

/** InvitePage accepts an invitation. */
export function InvitePage({ code }: { code: string }) {
  useTitle("Invitation");
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => setWrong(""), [code]);
  const accept = async () => {
    setBusy(true);
    try {
      const answer = await reach(() => post<{ id: string }>(`/api/invites/${encodeURIComponent(code)}/accept`));
      await loadHeaps();
      go(heapPath(answer.id), true);
    } catch (err) {
      setWrong(words(err));
      setBusy(false);
    }
  };
  return (
    <section class="home">
      <h1>You are invited</h1>
      <p>Somebody shares a heap with you. Its members see that you join.</p>
      {wrong && <p class="error" role="alert">{wrong}</p>}
      <button class="main" disabled={busy} onClick={() => void accept()}>Join</button>
    </section>
  );
}
