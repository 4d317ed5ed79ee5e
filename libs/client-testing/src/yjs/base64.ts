/** RFC 4648, with padding. */
export function toBase64(bytes: Uint8Array): string {
  let letters = '';
  // All at once would be more arguments than a call may have.
  for (let at = 0; at < bytes.length; at += 8_192)
    letters += String.fromCharCode(...bytes.subarray(at, at + 8_192));
  return btoa(letters);
}

/** @param text RFC 4648, with padding */
export function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}
