/**
 * Keys as SQLite can keep them. Not every driver brings a NUL through, and half an emoji is no UTF-8, so two
 * keys would become one. Each letter has a code, and no code is the beginning of another's, so that a key
 * begins with a prefix exactly when it does so here. Keys in ASCII keep their order.
 */
export function encodeKey(key: string): string {
  return key.replace(ESCAPED, (letter) => {
    if (letter === '\0') return '\u0001\u0001';
    if (letter === '\u0001') return '\u0001\u0002';
    return `\u0001\u0003${String.fromCharCode(letter.charCodeAt(0) + SHIFT)}`;
  });
}

export function decodeKey(encoded: string): string {
  return encoded.replace(CODE, (code) => {
    if (code === '\u0001\u0001') return '\0';
    if (code === '\u0001\u0002') return '\u0001';
    return String.fromCharCode(code.charCodeAt(2) - SHIFT);
  });
}

/** What is greater than every key with this prefix, and not than others; null when there is nothing. */
export function endOfPrefix(encoded: string): string | null {
  const letters = Array.from(encoded);
  for (let last = letters.pop(); last !== undefined; last = letters.pop()) {
    const code = last.codePointAt(0) ?? LAST_CODE_POINT;
    if (code < LAST_CODE_POINT) return letters.join('') + String.fromCodePoint(nextCodePoint(code));
  }
  return null;
}

/** Halves of emojis are moved into a range that has letters of nobody's alphabet. */
const SHIFT = 0x0800;
// Without the flag `u`: each half by itself, so that a prefix may end between them.
const ESCAPED = /[\0\u0001\ud800-\udfff]/g;
const CODE = /\u0001(?:\u0001|\u0002|\u0003[\ue000-\ue7ff])/g;
const LAST_CODE_POINT = 0x10ffff;

/** UTF-8 has none for halves of emojis. */
function nextCodePoint(code: number): number {
  return code === 0xd7ff ? 0xe000 : code + 1;
}
