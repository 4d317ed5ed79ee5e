/** How much goes together. */
export interface Room {
  readonly bytes: number;
  readonly count?: number;
}

/**
 * All elements in their order, in groups of as many as fit. The first of a group fits always, so that one too
 * large for any goes alone.
 *
 * @param bytesOf by default as an element of a JSON array
 */
export function* groupsThatFit<T>(
  elements: readonly T[],
  { bytes: most, count = Infinity }: Room,
  bytesOf: (element: T) => number = bytesInArray,
): Generator<T[], undefined> {
  let group: T[] = [];
  let bytes = 0;
  for (const element of elements) {
    const size = bytesOf(element);
    if (group.length > 0 && (bytes + size > most || group.length >= count)) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(element);
    bytes += size;
  }
  if (group.length > 0) yield group;
}

/** As many of them as fit, and always the first: what follows is the next page. */
export function firstThatFit<T>(
  elements: readonly T[],
  maxBytes: number,
  bytesOf?: (element: T) => number,
): T[] {
  const [first = []] = groupsThatFit(elements, { bytes: maxBytes }, bytesOf);
  return first;
}

function bytesInArray(element: unknown): number {
  return Buffer.byteLength(JSON.stringify(element)) + 1;
}
