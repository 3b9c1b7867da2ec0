import { useEffect, useState } from "preact/hooks";
import { LogOut, Menu as MenuIcon, Plus, ShieldCheck, User } from "lucide";
import { heapPath, place, go, type Place } from "../core/router";
import { addHeap, heaps, loadHeaps } from "../core/heaps";
import { account, online, server, signOut } from "../core/session";
import { Lazy } from "./App";
import { HeapPage } from "./HeapPage";
import { Icon } from "./Icon";
import { attempt } from "./Toasts";
import { Tree } from "./Tree";
import { Uploads } from "./Uploads";
import { PlainHttp } from "./PlainHttp";
import { useArrival } from "./useArrival";
import { useTitle } from "./useTitle";
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
      return <Home />;
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

function NewHeap() {
  const [name, setName] = useState<string>();
  if (name === undefined) return <button class="plain" onClick={() => setName("")}><Icon of={Plus} />New heap</button>;
  const submit = async (e: Event) => {
    e.preventDefault();
    const heap = await attempt(() => addHeap(name.trim() || "Notes"));
    if (!heap) return;
    setName(undefined);
    go(heapPath(heap.id));
  };
  return (
    <form class="new-heap" onSubmit={submit}>
      <label>
        Name of the heap
        <input autoFocus ref={(el) => el?.focus()} name="heap" value={name} maxLength={200} onInput={(e) => setName(e.currentTarget.value)} onKeyDown={(e) => e.key === "Escape" && setName(undefined)} />
      </label>
      <button class="main">Create</button>
      <button type="button" onClick={() => setName(undefined)}>Cancel</button>
    </form>
  );
}

function Home() {
  useTitle("");
  if (!heaps.value) return <p class="loading" aria-busy="true" />;
  return (
    <section class="home">
      <h1>{heaps.value.length > 0 ? "Your heaps" : "Welcome"}</h1>
      {heaps.value.length === 0 && <p>A heap holds notes and files, and is shared as a whole. Make the first one.</p>}
      <ul class="cards">
        {heaps.value.map((heap) => (
          <li key={heap.id}>
            <a class="heap-card" href={heapPath(heap.id)}>
              <strong>{heap.name || "Untitled"}</strong>
              <span class="quiet">{heap.blocks === 1 ? "1 block" : `${heap.blocks} blocks`} · {heap.role}</span>
            </a>
          </li>
        ))}
      </ul>
      {heaps.value.length === 0 && <NewHeap />}
    </section>
  );
}
