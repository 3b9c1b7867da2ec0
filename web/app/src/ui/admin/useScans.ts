import { useEffect, useRef, useState } from "preact/hooks";
import { listen, type HeapEvent } from "../../core/events";
import { scansNow, type Scan, type Scans } from "../../core/scans";
import { attempt } from "../Toasts";

/** useScans follows the scans of the heaps that one is in. */
export function useScans(): { all: Scans | undefined; load: () => Promise<void> } {
  const [all, setAll] = useState<Scans>();
  const busy = useRef(false);
  const stale = useRef(false);
  const load = async () => {
    stale.current = true;
    if (busy.current) return;
    busy.current = true;
    while (stale.current) {
      stale.current = false;
      await attempt(async () => setAll(await scansNow()));
    }
    busy.current = false;
  };
  useEffect(() => void load(), []);

  const heaps = all ? [...new Set([...all.scans, ...all.recent, ...all.folders].map((s) => s.heap_id))].sort().join(" ") : "";
  const heard = (e: HeapEvent) => {
    if (e.event === "scan.done" || e.event === "again") return void load();
    if (e.event !== "scan.progress") return;
    const { event, heap_id, at, ...now } = e;
    setAll((known) => {
      if (!known?.scans.some((s) => s.scan_id === now.scan_id)) {
        void load(); // it has just begun
        return known;
      }
      return { ...known, scans: known.scans.map((s) => (s.scan_id === now.scan_id ? { ...s, ...(now as Partial<Scan>) } : s)) };
    });
  };
  useEffect(() => {
    const stops = heaps.split(" ").filter(Boolean).map((heap) => listen(heap, heard));
    return () => stops.forEach((stop) => stop());
  }, [heaps]);
  return { all, load };
}
