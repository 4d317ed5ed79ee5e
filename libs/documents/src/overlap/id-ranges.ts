const NO_RANGES: readonly [number, number][] = [];

/** Clocks of clientIDs, as ranges. Filled first, then asked. */
export class IdRanges {
  private readonly byClient = new Map<number, [from: number, to: number][]>();
  private sorted = true;

  /** @param to exclusive */
  add(client: number, from: number, to: number): void {
    if (from >= to) return;
    const ranges = this.byClient.get(client);
    if (ranges) ranges.push([from, to]);
    else this.byClient.set(client, [[from, to]]);
    this.sorted = false;
  }

  has(client: number, clock: number): boolean {
    const ranges = this.rangesOf(client);
    const range = ranges[this.firstEndingAfter(ranges, clock)];
    return range !== undefined && range[0] <= clock;
  }

  /** Adds to `cuts` where, inside of [from, to), membership changes; unsorted. */
  pushBoundaries(cuts: number[], client: number, from: number, to: number): void {
    const ranges = this.rangesOf(client);
    if (ranges.length === 0) return;
    for (let at = this.firstEndingAfter(ranges, from); at < ranges.length; at += 1) {
      const [start, end] = ranges[at] ?? [to, to];
      if (start >= to) break;
      if (start > from) cuts.push(start);
      if (end < to) cuts.push(end);
    }
  }

  *[Symbol.iterator](): Generator<[client: number, from: number, to: number]> {
    for (const [client, ranges] of this.byClient) for (const [from, to] of ranges) yield [client, from, to];
  }

  private rangesOf(client: number): readonly [number, number][] {
    if (!this.sorted) this.sort();
    return this.byClient.get(client) ?? NO_RANGES;
  }

  private sort(): void {
    for (const [client, ranges] of this.byClient) {
      const joined: [number, number][] = [];
      for (const [from, to] of ranges.toSorted(([a], [b]) => a - b)) {
        const last = joined.at(-1);
        if (last && from <= last[1]) last[1] = Math.max(last[1], to);
        else joined.push([from, to]);
      }
      this.byClient.set(client, joined);
    }
    this.sorted = true;
  }

  private firstEndingAfter(ranges: readonly [number, number][], clock: number): number {
    let low = 0;
    let high = ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((ranges[middle]?.[1] ?? 0) > clock) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
