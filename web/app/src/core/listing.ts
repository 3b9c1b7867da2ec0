// Lists of blocks, of which only what is near what somebody sees is here.

import type { Block, Page } from "./heaps";

/** Spot is where in a list one is: a row that can be seen stood at from, and stands at to now. */
export interface Spot {
  from: number;
  to: number;
}

/** Rows is a list that is read piece by piece. What reads fails with what read fails with. */
export interface Rows {
  readonly total: number; // as far as is known
  readonly latest: Block[]; // what came last
  at(i: number): Block | undefined;
  /** came is called when there is more than there was. */
  came: () => void;
  /** see reads what is missing of the rows from first to last, which somebody sees. */
  see(first: number, last: number): Promise<void>;
  /** refresh reads again what can be seen, after something changed. It says where it stands now. */
  refresh(): Promise<Spot | undefined>;
}

/** How many rows are asked for at once, how far ahead, and how many such pages are kept around those that are seen. */
const size = 200;
const ahead = 60;
const around = 4;

/** Placed is a list that can be read from anywhere. */
export class Placed implements Rows {
  total = 0;
  latest: Block[] = [];
  came = () => {};
  private pages = new Map<number, Block[]>();
  private going: Promise<void> | undefined;
  private first = 0;
  private last = 0;
  private turn = 0;

  constructor(private read: (skip: number, limit: number) => Promise<Page>) {}

  at(i: number): Block | undefined {
    return this.pages.get(Math.floor(i / size))?.[i % size];
  }

  see(first: number, last: number): Promise<void> {
    [this.first, this.last] = [first, last];
    this.going ??= this.fill().finally(() => (this.going = undefined));
    return this.going;
  }

  /** fill reads until nothing is missing where one is. What was only scrolled past meanwhile is not asked for. */
  private async fill(): Promise<void> {
    for (;;) {
      const turn = this.turn;
      const missing = this.near(this.pages.size > 0 ? ahead : 0).filter((page) => !this.pages.has(page));
      if (missing.length === 0) return;
      const found = await Promise.all(missing.map((page) => this.read(page * size, size)));
      if (turn !== this.turn) continue;
      missing.forEach((page, n) => this.take(page, found[n]!));
      this.came();
    }
  }

  async refresh(): Promise<Spot | undefined> {
    const turn = ++this.turn;
    const wanted = this.near(0);
    const found = await Promise.all(wanted.map((page) => this.read(page * size, size)));
    if (turn !== this.turn) return undefined; // this is old already
    // Where the first row stands now that was seen, and is there still.
    const places = new Map(found.flatMap(({ blocks }, n) => blocks.map((b, i) => [b.block_id, wanted[n]! * size + i] as const)));
    let spot: Spot | undefined;
    for (let i = this.first; i <= this.last && !spot; i++) {
      const to = places.get(this.at(i)?.block_id ?? "");
      if (to !== undefined) spot = { from: i, to };
    }
    this.pages.clear();
    wanted.forEach((page, n) => this.take(page, found[n]!));
    void this.see(this.first, this.last).catch(() => {}); // where one has gone meanwhile; who scrolls on hears what is wrong
    return spot;
  }

  /** near is the pages that show, or are not more than so many rows away. */
  private near(rows: number): number[] {
    const end = Math.max(0, this.total - 1);
    const from = Math.floor(Math.max(0, this.first - rows) / size);
    const to = Math.floor(Math.max(0, Math.min(end, this.last + rows)) / size);
    return Array.from({ length: Math.max(0, to - from) + 1 }, (_, i) => from + i);
  }

  private take(page: number, { blocks, total }: Page): void {
    this.total = total ?? page * size + blocks.length;
    this.pages.set(page, blocks);
    this.latest = blocks;
    const [from, to] = [Math.floor(this.first / size) - around, Math.floor(this.last / size) + around];
    for (const far of this.pages.keys()) if (far < from || far > to) this.pages.delete(far);
  }
}

/** How many rows are read again at most. */
const again = 1000;

/** Paged is a list that is read from its beginning on: what a query finds. */
export class Paged implements Rows {
  latest: Block[] = [];
  came = () => {};
  private blocks: Block[] = [];
  private cursor: string | null = null;
  private begun = false;
  private going: Promise<void> | undefined;
  private turn = 0;

  constructor(private read: (cursor: string | null, limit: number) => Promise<Page>) {}

  get total(): number {
    return this.blocks.length;
  }

  at(i: number): Block | undefined {
    return this.blocks[i];
  }

  see(_: number, last: number): Promise<void> {
    if (this.begun && (!this.cursor || last < this.blocks.length - ahead)) return Promise.resolve();
    const turn = this.turn;
    this.going ??= this.read(this.cursor, size)
      .then((page) => {
        if (turn !== this.turn) return;
        this.begun = true;
        this.blocks = [...this.blocks, ...page.blocks];
        this.cursor = page.next_cursor;
        this.latest = page.blocks;
        this.came();
      })
      .finally(() => (this.going = undefined));
    return this.going;
  }

  async refresh(): Promise<Spot | undefined> {
    const turn = ++this.turn;
    const page = await this.read(null, Math.min(Math.max(this.blocks.length, size), again));
    if (turn !== this.turn) return undefined;
    // What was read beyond stays.
    const fresh = new Set(page.blocks.map((b) => b.block_id));
    const beyond = page.next_cursor ? this.blocks.slice(page.blocks.length).filter((b) => !fresh.has(b.block_id)) : [];
    this.blocks = [...page.blocks, ...beyond];
    if (beyond.length === 0) this.cursor = page.next_cursor;
    this.begun = true;
    this.latest = page.blocks;
    return undefined;
  }
}
