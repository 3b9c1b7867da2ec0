// Where in the app one is: the path of the page, without a reload.

import { signal } from "@preact/signals";

export type Place =
  | { page: "home" }
  | { page: "heap"; heap: string; view: string }
  | { page: "block"; heap: string; block: string; view: string }
  | { page: "trash"; heap: string }
  | { page: "invite"; code: string }
  | { page: "account" }
  | { page: "admin"; view: string };

const parse = (path: string): Place => {
  const [page = "", a = "", b = "", c = ""] = path.split("/").filter(Boolean).map(decodeURIComponent);
  switch (page) {
    case "h":
      if (b === "trash") return { page: "trash", heap: a };
      if (b === "b" && c) return { page: "block", heap: a, block: c, view: path.split("/")[5] ?? "" };
      return a ? { page: "heap", heap: a, view: b } : { page: "home" };
    case "invite":
      return { page: "invite", code: a };
    case "account":
      return { page: "account" };
    case "admin":
      return { page: "admin", view: a };
  }
  return { page: "home" };
};

export const place = signal<Place>(parse(location.pathname));

addEventListener("popstate", () => (place.value = parse(location.pathname)));

export function go(path: string, replace = false): void {
  if (path !== location.pathname) history[replace ? "replaceState" : "pushState"](null, "", path);
  place.value = parse(path);
}

const e = encodeURIComponent;
export const heapPath = (heap: string, view = ""): string => `/h/${e(heap)}${view ? "/" + e(view) : ""}`;
export const blockPath = (heap: string, block: string, view = ""): string => `/h/${e(heap)}/b/${e(block)}${view ? "/" + e(view) : ""}`;

/** follow has a click on a link within the app stay in the page. */
export function follow(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = (event.target as Element).closest?.("a");
  if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
  if (link.pathname.startsWith("/api/") || link.pathname.startsWith("/metrics")) return;
  event.preventDefault();
  go(link.pathname);
}
