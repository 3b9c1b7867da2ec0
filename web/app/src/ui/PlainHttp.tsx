import { useState } from "preact/hooks";

const key = "plain http";

/** PlainHttp says what https would add, where browsers hide some of what the app can do. */
export function PlainHttp() {
  const [seen, setSeen] = useState(() => localStorage.getItem(key) === "seen");
  if (isSecureContext || seen) return null;
  const hide = () => {
    localStorage.setItem(key, "seen");
    setSeen(true);
  };
  return (
    <div class="notice plain-http">
      <p>
        This page came over plain http. You can write, share and upload; with <strong>https</strong> the app would also open without the server, could be installed,
        your key would be kept by the browser itself, and nobody in between could read along.
      </p>
      <button onClick={hide}>Understood</button>
    </div>
  );
}
