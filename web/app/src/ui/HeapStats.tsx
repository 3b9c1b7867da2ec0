import { useState } from "preact/hooks";
import { ChartColumn } from "lucide";
import { Lazy } from "./App";
import { Icon } from "./Icon";

const statsDialog = () => import("./StatsDialog").then((m) => m.StatsDialog);

/** HeapStats opens the statistics of a heap. */
export function HeapStats({ heap }: { heap: string }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button class="plain" onClick={() => setOpen(true)}><Icon of={ChartColumn} />Statistics</button>
      {open && <Lazy load={statsDialog} heap={heap} close={() => setOpen(false)} />}
    </>
  );
}
