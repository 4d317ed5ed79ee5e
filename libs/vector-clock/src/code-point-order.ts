/**
 * Orders two strings by Unicode code point: negative when `a` comes first, positive when `b` does, 0 when
 * they are the same string.
 *
 * JavaScript's own `<` and `Array.prototype.sort` order by UTF-16 code unit, which puts every character above
 * U+FFFF (stored as surrogates, 0xD800–0xDFFF) before U+E000–U+FFFF. SQL `COLLATE "C"` on UTF-8, Go, Rust and
 * Python order by code point, so that is what every implementation of the wire contract can agree on.
 */
export function compareCodePoints(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  // Stepping by code unit is enough: where a pair is equal its second half is too, and decides nothing.
  for (let index = 0; index < shorter; index++) {
    // Both are defined: the index is inside both strings.
    const left = a.codePointAt(index) as number;
    const right = b.codePointAt(index) as number;
    if (left !== right) return left - right;
  }
  return a.length - b.length;
}
