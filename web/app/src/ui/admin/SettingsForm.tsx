import { useEffect, useState } from "preact/hooks";
import { call, get } from "../../core/api";
import { reach } from "../../core/heaps";
import { attempt, toast } from "../Toasts";

interface Limits {
  storage_bytes: number | null;
  file_bytes: number | null;
  heaps: number | null;
  blocks: number | null;
  connections: number | null;
}

interface Settings {
  name: string;
  mode: "open" | "approval" | "closed";
  limits: Limits;
}

const limitNames: [keyof Limits, string][] = [
  ["storage_bytes", "Bytes of files an account may have"],
  ["file_bytes", "Bytes of one file"],
  ["heaps", "Heaps an account may own"],
  ["blocks", "Blocks of a heap"],
  ["connections", "Sockets of an account"],
];

/** SettingsForm changes what holds for all accounts. */
export function SettingsForm() {
  const [settings, setSettings] = useState<Settings>();
  useEffect(() => void attempt(async () => setSettings(await reach(() => get<Settings>("/api/admin/settings")))), []);
  if (!settings) return <p class="loading" aria-busy="true" />;
  const save = (e: Event) => {
    e.preventDefault();
    void attempt(async () => {
      const { name, mode, limits } = settings;
      setSettings(await reach(() => call<Settings>("PUT", "/api/admin/settings", { name, mode, limits })));
      toast("Saved.");
    });
  };
  return (
    <form class="settings" onSubmit={save}>
      <label>Name of the server<input value={settings.name} maxLength={100} onInput={(e) => setSettings({ ...settings, name: e.currentTarget.value })} /></label>
      <label>
        Who may make an account
        <select value={settings.mode} onChange={(e) => setSettings({ ...settings, mode: e.currentTarget.value as Settings["mode"] })}>
          <option value="approval">Everybody, but an administrator has to approve</option>
          <option value="open">Everybody</option>
          <option value="closed">Nobody new</option>
        </select>
      </label>
      <fieldset>
        <legend>Limits; empty is none</legend>
        {limitNames.map(([name, text]) => (
          <label key={name}>
            {text}
            <input type="number" min={0} step={1} value={settings.limits[name] ?? ""}
              onInput={(e) => setSettings({ ...settings, limits: { ...settings.limits, [name]: e.currentTarget.value === "" ? null : Number(e.currentTarget.value) } })} />
          </label>
        ))}
      </fieldset>
      <button class="main">Save</button>
    </form>
  );
}
