/**
 * As many of them as have at most so many bytes together as JSON, and always the first: what follows is the
 * next page.
 */
export function firstThatFit<T>(elements: readonly T[], maxBytes: number): T[] {
  let bytes = 0;
  const end = elements.findIndex((element, index) => {
    bytes += Buffer.byteLength(JSON.stringify(element)) + 1;
    return index > 0 && bytes > maxBytes;
  });
  return elements.slice(0, end < 0 ? elements.length : end);
}
