import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { state } from "../core/session";
import { follow } from "../core/router";
import { Toasts } from "./Toasts";

/** Lazy shows a component of another chunk when it has come. */
export function Lazy<P extends object>({ load, ...props }: { load: () => Promise<ComponentType<P>> } & P) {
  const [Part, setPart] = useState<ComponentType<P>>();
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    let here = true;
    load().then(
      (part) => here && setPart(() => part),
      () => here && setFailed(true),
    );
    return () => void (here = false);
  }, [load]);
  if (failed) {
    return (
      <p class="notice" role="alert">
        This part of the app could not be loaded. <button onClick={() => location.reload()}>Try again</button>
      </p>
    );
  }
  return Part ? <Part {...(props as unknown as P)} /> : <p class="loading" aria-busy="true" />;
}

const signIn = () => import("./SignIn").then((m) => m.SignIn);
const shell = () => import("./Shell").then((m) => m.Shell);

export function App() {
  return (
    <div class="app" onClick={follow}>
      {state.value.at === "starting" ? <p class="loading" aria-busy="true" /> : <Lazy load={state.value.at === "in" ? shell : signIn} />}
      <Toasts />
    </div>
  );
}
