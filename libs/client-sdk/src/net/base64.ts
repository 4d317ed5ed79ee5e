const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** RFC 4648 with padding. Written out: `btoa` is missing in older versions of React Native. */
export function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 3) {
    const [first = 0, second = 0, third = 0] = bytes.subarray(at, at + 3);
    const bits = (first << 16) | (second << 8) | third;
    const letters = [18, 12, 6, 0].map((shift) => LETTERS[(bits >> shift) & 63] ?? '').join('');
    text += letters.slice(0, Math.min(3, bytes.length - at) + 1);
  }
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=');
}

/** @param text RFC 4648 with padding, as a server that keeps the protocol writes it */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const length = text.indexOf('=') < 0 ? text.length : text.indexOf('=');
  const bytes = new Uint8Array(Math.floor((length * 3) / 4));
  let bits = 0;
  for (let at = 0, to = 0; at < length; at += 1) {
    bits = (bits << 6) | LETTERS.indexOf(text.charAt(at));
    // Of four letters the first completes no byte.
    if (at % 4 !== 0) bytes[to++] = (bits >> (6 - 2 * (at % 4))) & 255;
  }
  return bytes;
}
