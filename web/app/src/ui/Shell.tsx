import { useEffect, useState } from "preact/hooks";
import { LogOut, Menu as MenuIcon, ShieldCheck, User } from "lucide";
import { heapPath, place, type Place } from "../core/router";
import { heaps, loadHeaps } from "../core/heaps";
import { account, online, server, signOut } from "../core/session";
import { Lazy } from "./App";
import { HeapPage } from "./HeapPage";
import { HomePage } from "./HomePage";
import { Icon } from "./Icon";
import { NewHeap } from "./NewHeap";
import { attempt } from "./Toasts";
import { Tree } from "./Tree";
import { Uploads } from "./Uploads";
import { PlainHttp } from "./PlainHttp";
import { useArrival } from "./useArrival";
import { Waiting } from "./Waiting";
import "./shell.css";

const blockPage = () => import("./BlockPage").then((m) => m.BlockPage);
const historyPage = () => import("./HistoryPage").then((m) => m.HistoryPage);
const trashPage = () => import("./TrashPage").then((m) => m.TrashPage);
const invitePage = () => import("./InvitePage").then((m) => m.InvitePage);
const accountPage = () => import("./AccountPage").then((m) => m.AccountPage);
const adminPage = () => import("./AdminPage").then((m) => m.AdminPage);

function Page({ at }: { at: Place }) {
  switch (at.page) {
    case "heap":
      return <HeapPage key={at.heap} heap={at.heap} />;
    case "block":
      return <Lazy key={`${at.heap}/${at.block}/${at.view}`} load={at.view === "history" ? historyPage : blockPage} heap={at.heap} block={at.block} />;
    case "trash":
      return <Lazy key={`trash ${at.heap}`} load={trashPage} heap={at.heap} />;
    case "invite":
      return <Lazy key={at.code} load={invitePage} code={at.code} />;
    case "account":
      return <Lazy key="account" load={accountPage} />;
    case "admin":
      return <Lazy key="admin" load={adminPage} view={at.view} />;
    case "home":
      return <HomePage />;
  }
}

/** Shell is the app of somebody who is signed in. */
export function Shell() {
  const [menu, setMenu] = useState(false);
  useEffect(() => void attempt(loadHeaps), []);
  const at = place.value;
  useEffect(() => setMenu(false), [at]);
  useArrival(at);
  return (
    <div class={`shell ${menu ? "menu-open" : ""}`}>
      <a class="skip" href="#main">Skip to content</a>
      <header class="bar">
        <button class="plain" aria-expanded={menu} aria-controls="menu" onClick={() => setMenu(!menu)}>
          <Icon of={MenuIcon} /><span class="sr">Menu</span>
        </button>
        <a class="brand" href="/">{server.value?.name || "heapsync"}</a>
        <Waiting />
      </header>
      <nav id="menu" class="menu" aria-label="Heaps" onKeyDown={(e) => e.key === "Escape" && setMenu(false)}>
        <Heaps />
        <div class="menu-foot">
          {account.value?.is_admin && <a href="/admin" aria-current={at.page === "admin" ? "page" : undefined}><Icon of={ShieldCheck} />Administration</a>}
          <a href="/account" aria-current={at.page === "account" ? "page" : undefined}><Icon of={User} />Account</a>
          <button class="plain" onClick={() => confirm(signOutWarning) && void signOut()}><Icon of={LogOut} />Sign out</button>
        </div>
      </nav>
      {menu && <div class="veil" onClick={() => setMenu(false)} />}
      <main id="main" tabIndex={-1}>
        {!online.value && <p class="notice offline" role="status">The server cannot be reached. You can go on: edits stay on this device until it is back.</p>}
        <PlainHttp />
        <Page at={at} />
      </main>
      <Uploads />
    </div>
  );
}

const signOutWarning =
  "Signing out empties this browser: your key, and edits that are not on the server yet. You need your recovery phrase to come back. Sign out?";

function Heaps() {
  const at = place.value;
  const current = "heap" in at ? at.heap : "";
  return (
    <>
      <ul>
        {heaps.value?.map((heap) => (
          <li key={heap.id}>
            <a href={heapPath(heap.id)} aria-current={heap.id === current ? "page" : undefined}>
              <span class="heap-name">{heap.name || "Untitled"}</span>
              <span class="quiet">{heap.blocks}</span>
            </a>
            {heap.id === current && <Tree key={heap.id} heap={heap.id} current={at.page === "block" ? at.block : ""} />}
          </li>
        ))}
      </ul>
      <NewHeap />
    </>
  );
}
