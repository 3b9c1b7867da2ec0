import { useEffect, useRef, useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { keep, needsPassphrase, unlock, type Kept } from "../core/keys";
import { enter, retry, server, signIn, signOut, state, trustServer } from "../core/session";
import { words as wordsOf } from "./Toasts";
import { useTitle } from "./useTitle";

/** SignIn is everything before somebody is in. */
export function SignIn() {
  const now = state.value;
  useTitle("Sign in");
  return (
    <main class="gate">
      <header>
        <img src={logo} alt="" width="48" height="48" />
        <h1>{server.value?.name || "heapsync"}</h1>
        <p class="quiet">{location.host}</p>
      </header>
      {now.at === "pending" ? <Pending publicKey={now.publicKey} />
        : now.at === "refused" ? <Refused why={now.why} />
        : now.at === "locked" ? <Locked kept={now.kept} />
        : now.at === "changed" ? <Changed pinned={now.pinned} found={now.found} />
        : <Begin />}
    </main>
  );
}

const logo = new URL("../icon.svg", import.meta.url).href;

type Step = { at: "choose" } | { at: "show"; phrase: string } | { at: "check"; phrase: string } | { at: "restore" } | { at: "finish"; phrase: string };

function Begin() {
  const [step, setStep] = useState<Step>({ at: "choose" });
  const create = async () => setStep({ at: "show", phrase: (await import("../core/phrase")).newPhrase() });
  switch (step.at) {
    case "choose":
      return (
        <Card title="Welcome">
          <p>Your account is a key that is made in this browser. Nobody else has it, not even this server.</p>
          <button class="main" onClick={create}>Make a new key</button>
          <button onClick={() => setStep({ at: "restore" })}>I have a recovery phrase</button>
        </Card>
      );
    case "show":
      return <Show phrase={step.phrase} next={() => setStep({ at: "check", phrase: step.phrase })} back={() => setStep({ at: "choose" })} />;
    case "check":
      return <Check phrase={step.phrase} next={() => setStep({ at: "finish", phrase: step.phrase })} back={() => setStep({ at: "show", phrase: step.phrase })} />;
    case "restore":
      return <Restore next={(phrase) => setStep({ at: "finish", phrase })} back={() => setStep({ at: "choose" })} />;
    case "finish":
      return <Finish phrase={step.phrase} back={() => setStep({ at: "choose" })} />;
  }
}

function Card({ title, children }: { title: string; children: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), [title]);
  return (
    <section class="card">
      <h2 ref={heading} tabIndex={-1}>{title}</h2>
      {children}
    </section>
  );
}

function Show({ phrase, next, back }: { phrase: string; next: () => void; back: () => void }) {
  return (
    <Card title="Your recovery phrase">
      <p>
        Write these twelve words down, in this order, and keep them where nobody else looks. With them you get into your account from any device.
        Without them, nobody can bring it back. <strong>They are shown only now.</strong>
      </p>
      <ol class="phrase" translate={false}>
        {phrase.split(" ").map((word) => <li key={word}>{word}</li>)}
      </ol>
      <button class="main" onClick={next}>I have written them down</button>
      <button onClick={back}>Back</button>
    </Card>
  );
}

function Check({ phrase, next, back }: { phrase: string; next: () => void; back: () => void }) {
  const all = phrase.split(" ");
  const [asked] = useState(() => {
    const rest = all.map((_, i) => i);
    const picked: number[] = [];
    while (picked.length < 3) picked.push(...rest.splice(crypto.getRandomValues(new Uint32Array(1))[0]! % rest.length, 1));
    return picked.sort((a, b) => a - b);
  });
  const [typed, setTyped] = useState<Record<number, string>>({});
  const [wrong, setWrong] = useState(false);
  const submit = (e: Event) => {
    e.preventDefault();
    if (asked.every((i) => typed[i]?.trim().toLowerCase() === all[i])) next();
    else setWrong(true);
  };
  return (
    <Card title="Check what you wrote">
      <form onSubmit={submit}>
        {asked.map((i) => (
          <label key={i}>
            Word {i + 1}
            <input
              name={`word-${i + 1}`} autoComplete="off" autoCapitalize="none" spellcheck={false} value={typed[i] ?? ""} required
              onInput={(e) => { setTyped({ ...typed, [i]: e.currentTarget.value }); setWrong(false); }}
            />
          </label>
        ))}
        {wrong && <p class="error" role="alert">That is not what was shown. Look at what you wrote down.</p>}
        <button class="main">Continue</button>
        <button type="button" onClick={back}>Show the words again</button>
      </form>
    </Card>
  );
}

function Restore({ next, back }: { next: (phrase: string) => void; back: () => void }) {
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState("");
  const submit = async (e: Event) => {
    e.preventDefault();
    const { fault, tidy } = await import("../core/phrase");
    const found = fault(text);
    if (found) setWrong(found);
    else next(tidy(text));
  };
  return (
    <Card title="Your recovery phrase">
      <form onSubmit={submit}>
        <label>
          The words, in their order
          <textarea name="phrase" rows={3} autoComplete="off" autoCapitalize="none" spellcheck={false} required value={text}
            onInput={(e) => { setText(e.currentTarget.value); setWrong(""); }} />
        </label>
        {wrong && <p class="error" role="alert">{wrong}</p>}
        <button class="main">Continue</button>
        <button type="button" onClick={back}>Back</button>
      </form>
    </Card>
  );
}

/** Finish keeps the key, and signs in with it. */
function Finish({ phrase, back }: { phrase: string; back: () => void }) {
  const [sealed, setSealed] = useState<boolean>();
  const [passphrase, setPassphrase] = useState("");
  const [claim, setClaim] = useState(() => new URLSearchParams(location.hash.slice(1)).get("claim") ?? "");
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState("");
  useEffect(() => void needsPassphrase().then(setSealed), []);
  const submit = async (e: Event) => {
    e.preventDefault();
    if (sealed && passphrase.length < 8) return setWrong("A passphrase has at least 8 characters.");
    setBusy(true);
    try {
      const { secretOf } = await import("../core/phrase");
      await signIn(await keep(secretOf(phrase), passphrase), claim.trim());
      await enter();
    } catch (err) {
      setWrong(wordsOf(err));
      setBusy(false);
    }
  };
  if (sealed === undefined) return <Card title="Sign in"><p aria-busy="true" /></Card>;
  return (
    <Card title="Sign in">
      <form onSubmit={submit}>
        {sealed && (
          <>
            <p class="notice">
              This page did not come over https, so the browser cannot lock your key away by itself. A passphrase seals it instead;
              it is asked for when you come back. With https there would be no passphrase, and the app would open without the server too.
            </p>
            <label>
              Passphrase
              <input type="password" name="passphrase" autoComplete="new-password" required minLength={8} value={passphrase}
                onInput={(e) => { setPassphrase(e.currentTarget.value); setWrong(""); }} />
            </label>
          </>
        )}
        <details open={claim !== ""}>
          <summary>I have a claim code</summary>
          <label>
            Claim code
            <input name="claim" autoComplete="off" spellcheck={false} value={claim} onInput={(e) => setClaim(e.currentTarget.value)} />
          </label>
          <p class="quiet">A new server prints one at its first start. Whoever uses it becomes its administrator.</p>
        </details>
        {wrong && <p class="error" role="alert">{wrong}</p>}
        <button class="main" disabled={busy}>{busy ? "Signing in…" : "Sign in"}</button>
        <button type="button" onClick={back} disabled={busy}>Back</button>
      </form>
    </Card>
  );
}

function Locked({ kept }: { kept: Kept }) {
  const [passphrase, setPassphrase] = useState("");
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState("");
  const submit = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    setWrong("");
    try {
      const key = await unlock(kept, passphrase).catch(() => undefined);
      if (!key) throw new Error("The passphrase is another one.");
      await signIn(key);
      await enter();
    } catch (err) {
      setWrong(wordsOf(err));
      setBusy(false);
    }
  };
  return (
    <Card title="Welcome back">
      <form onSubmit={submit}>
        {kept.kind === "passphrase" && (
          <label>
            Passphrase
            <input type="password" name="passphrase" autoComplete="current-password" required value={passphrase} onInput={(e) => setPassphrase(e.currentTarget.value)} />
          </label>
        )}
        {wrong && <p class="error" role="alert">{wrong}</p>}
        <button class="main" disabled={busy}>{busy ? "Signing in…" : "Sign in"}</button>
        <button type="button" onClick={() => void signOut()}>Use another key</button>
      </form>
    </Card>
  );
}

/** Pending asks the server again until somebody has approved the account. */
/** Refused is for somebody whom the server lets in no longer. */
function Refused({ why }: { why: string }) {
  const [wrong, setWrong] = useState("");
  const again = () => retry().catch((err: unknown) => setWrong(wordsOf(err)));
  return (
    <Card title="The server does not let you in">
      <p role="status">It says: {why}.</p>
      <p>What you wrote here stays in this browser, and is sent when an administrator has let you in again.</p>
      {wrong && <p class="error" role="alert">{wrong}</p>}
      <button class="main" onClick={() => void again()}>Try again</button>
    </Card>
  );
}

function Pending({ publicKey }: { publicKey: string }) {
  useEffect(() => {
    let stopped = false;
    let timer: ReturnType<typeof setTimeout>;
    const ask = async () => {
      try {
        await retry();
      } catch {
        // the server is away: ask again
      }
      if (!stopped) timer = setTimeout(ask, 5_000);
    };
    timer = setTimeout(ask, 5_000);
    return () => { stopped = true; clearTimeout(timer); };
  }, []);
  return (
    <Card title="Waiting for approval">
      <p>An administrator of this server has to let you in. Tell them your key; this page goes on by itself.</p>
      <p class="key" translate={false}>{publicKey}</p>
      <p class="loading" aria-busy="true" />
      <button onClick={() => void signOut()}>Use another key</button>
    </Card>
  );
}

function Changed({ pinned, found }: { pinned: string; found: string }) {
  return (
    <Card title="This is not the server you know">
      <p class="error" role="alert">
        The server at {location.host} has another identity than before. If nobody told you that it was set up anew, somebody may be
        between you and it. Nothing has been sent.
      </p>
      <dl>
        <dt>Known</dt><dd class="key">{pinned}</dd>
        <dt>Now</dt><dd class="key">{found}</dd>
      </dl>
      <button class="main" onClick={() => location.reload()}>Try again</button>
      <button class="danger" onClick={() => void trustServer()}>I know why: trust the new one</button>
    </Card>
  );
}
