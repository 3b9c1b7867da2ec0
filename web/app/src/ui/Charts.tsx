// Charts in plain SVG, with the numbers beside them and in words for who does not see them.

import { many, onDay } from "./format";
import "./charts.css";

export interface Amount {
  key: string;
  name: string;
  values: number[]; // in the order of the parts
}

interface AmountsProps {
  caption: string;
  parts: string[];
  rows: Amount[];
  words: (n: number) => string;
}

const sum = (values: number[]): number => values.reduce((a, b) => a + b, 0);

/** Amounts has a bar for each row, of what its parts come to. */
export function Amounts({ caption, parts, rows, words }: AmountsProps) {
  const most = Math.max(...rows.map((r) => sum(r.values)), 1);
  return (
    <div class="chart">
      <ul class="legend">
        {parts.map((part, i) => (
          <li key={part}><span class={`swatch tone-${i}`} aria-hidden="true" />{part} <strong>{words(sum(rows.map((r) => r.values[i]!)))}</strong></li>
        ))}
      </ul>
      <table class="amounts" aria-label={caption}>
        <tbody>
          {rows.map((row) => (
            <tr key={row.key}>
              <th scope="row" title={row.name}>{row.name}</th>
              <td>
                <Bar values={row.values} of={most} />
                <span class="sr">{parts.map((part, i) => `${part} ${words(row.values[i]!)}`).join(", ")}</span>
              </td>
              <td>{words(sum(row.values))}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Bar({ values, of }: { values: number[]; of: number }) {
  return (
    <svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">
      {values.map((v, i) => <rect key={i} class={`tone-${i}`} x={(sum(values.slice(0, i)) / of) * 100} width={(v / of) * 100} height={1} />)}
    </svg>
  );
}

export interface Day {
  day: string; // of UTC, as 2026-05-04
  updates: number;
}

const shownDays = 90;
const dayLong = 86_400_000;

/** Days has a bar for each of the last days. */
export function Days({ caption, days }: { caption: string; days: Day[] }) {
  const today = Math.floor(Date.now() / dayLong);
  const known = new Map(days.map((d) => [Date.parse(d.day) / dayLong, d.updates]));
  const list = Array.from({ length: shownDays }, (_, i) => ({ at: today - shownDays + 1 + i, n: known.get(today - shownDays + 1 + i) ?? 0 }));
  const most = Math.max(...list.map((d) => d.n));
  const name = (at: number): string => onDay(at * dayLong + new Date().getTimezoneOffset() * 60_000);
  if (most === 0) return <p class="quiet">No edits in the last {shownDays} days.</p>;
  return (
    <div class="chart">
      <svg class="days" viewBox={`0 0 ${shownDays} 100`} preserveAspectRatio="none" aria-hidden="true">
        {list.map(({ at, n }, i) => {
          const height = n === 0 ? 0 : Math.max((n / most) * 100, 2);
          return <rect key={at} class="tone-0" x={i + 0.1} width={0.8} y={100 - height} height={height}><title>{`${name(at)}: ${many(n, "edit", "edits")}`}</title></rect>;
        })}
      </svg>
      <div class="days-foot quiet" aria-hidden="true"><span>{name(list[0]!.at)}</span><span>most on a day: {most.toLocaleString()}</span><span>today</span></div>
      <div class="sr">
        <table>
          <caption>{caption}</caption>
          <thead><tr><th scope="col">Day</th><th scope="col">Edits</th></tr></thead>
          <tbody>{list.filter((d) => d.n > 0).map((d) => <tr key={d.at}><td>{name(d.at)}</td><td>{d.n}</td></tr>)}</tbody>
        </table>
      </div>
    </div>
  );
}
