// What changed between two texts, word by word.

export interface Piece {
  kind: "same" | "added" | "removed";
  text: string;
}

/** maxWords is beyond what texts are compared as a whole: the time grows with the square of what differs. */
const maxWords = 20_000;

const split = (text: string): string[] => text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [];

/** compare returns pieces that read as before without those added, and as now without those removed. */
export function compare(before: string, now: string): Piece[] {
  const a = split(before);
  const b = split(now);
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const middle = between(a.slice(start, a.length - end), b.slice(start, b.length - end));
  return join([{ kind: "same", text: a.slice(0, start).join("") }, ...middle, { kind: "same", text: a.slice(a.length - end).join("") }]);
}

/** between is Myers' greedy algorithm, which keeps the furthest ends of each round to walk back over. */
function between(a: string[], b: string[]): Piece[] {
  const whole: Piece[] = [
    { kind: "removed", text: a.join("") },
    { kind: "added", text: b.join("") },
  ];
  if (a.length === 0 || b.length === 0 || a.length + b.length > maxWords) return whole;
  const most = Math.min(a.length + b.length, 2_000); // of differences
  const ends = new Map<number, number>([[1, 0]]);
  const rounds: Map<number, number>[] = [];
  for (let d = 0; d <= most; d++) {
    rounds.push(new Map(ends));
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && (ends.get(k - 1) ?? -1) < (ends.get(k + 1) ?? -1));
      let x = down ? (ends.get(k + 1) ?? 0) : (ends.get(k - 1) ?? 0) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      ends.set(k, x);
      if (x >= a.length && x - k >= b.length) return walk(a, b, rounds);
    }
  }
  return whole;
}

function walk(a: string[], b: string[], rounds: Map<number, number>[]): Piece[] {
  const back: Piece[] = [];
  let x = a.length;
  let y = b.length;
  for (let d = rounds.length - 1; d >= 0; d--) {
    const ends = rounds[d]!;
    const k = x - y;
    const down = k === -d || (k !== d && (ends.get(k - 1) ?? -1) < (ends.get(k + 1) ?? -1));
    const from = down ? k + 1 : k - 1;
    const fromX = d === 0 ? 0 : (ends.get(from) ?? 0);
    const fromY = d === 0 ? 0 : fromX - from;
    while (x > fromX && y > fromY) {
      back.push({ kind: "same", text: a[--x]! });
      y--;
    }
    if (d === 0) break;
    if (down) back.push({ kind: "added", text: b[--y]! });
    else back.push({ kind: "removed", text: a[--x]! });
  }
  return back.reverse();
}

function join(pieces: Piece[]): Piece[] {
  const joined: Piece[] = [];
  for (const piece of pieces) {
    if (!piece.text) continue;
    const last = joined.at(-1);
    if (last?.kind === piece.kind) last.text += piece.text;
    else joined.push({ ...piece });
  }
  return joined;
}
