import { render } from "preact";
import { App } from "./ui/App";
import { start } from "./core/session";
import "./ui/theme";
import "./style.css";

render(<App />, document.getElementById("app")!);
void start();

// On https, or on this very machine, the app opens without the server too.
if ("serviceWorker" in navigator && import.meta.env.PROD) {
  void navigator.serviceWorker.register("/sw.js").catch((err: unknown) => console.warn("no service worker:", err));
}
