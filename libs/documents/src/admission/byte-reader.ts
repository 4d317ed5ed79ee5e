import { RefusedUpdateError } from './refusal.ts';

const MAX_JSON_DEPTH = 32;
/** A byte order mark is a letter like others. */
const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });

const invalid = (detail: string): RefusedUpdateError => new RefusedUpdateError('update_invalid', detail);
const notAllowed = (detail: string): RefusedUpdateError =>
  new RefusedUpdateError('content_not_allowed', detail);

/** A string's place in the bytes and its length in UTF-16 units, which is what Yjs counts in. */
export interface TextSpan {
  readonly from: number;
  readonly to: number;
  readonly length: number;
}

/**
 * Reads lib0's encoding without building what it describes: every loop consumes at least one byte per turn
 * and nothing is allocated by a number that the bytes claim, so that time and memory are bounded by the size
 * of the update.
 *
 * Every method throws RefusedUpdateError at the first byte that Yjs could not have written.
 */
export class ByteReader {
  position = 0;
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get left(): number {
    return this.bytes.length - this.position;
  }

  uint8(): number {
    const byte = this.bytes[this.position];
    if (byte === undefined) throw invalid('it is cut off');
    this.position += 1;
    return byte;
  }

  /** At most 2^53 - 1, as in lib0. */
  varUint(): number {
    let value = 0;
    let factor = 1;
    for (;;) {
      const byte = this.uint8();
      value += (byte & 0x7f) * factor;
      if (value > Number.MAX_SAFE_INTEGER) throw invalid(`a number is too large at byte ${this.position}`);
      if (byte < 0x80) return value;
      factor *= 128;
    }
  }

  /** A count of things that take at least one byte each. */
  count(what: string): number {
    const count = this.varUint();
    if (count > this.left) throw invalid(`it announces ${count} ${what} and has ${this.left} bytes left`);
    return count;
  }

  skip(byteCount: number): void {
    if (byteCount > this.left) throw invalid('it is cut off');
    this.position += byteCount;
  }

  skipBuffer(): void {
    this.skip(this.varUint());
  }

  /**
   * Well-formed UTF-8 by RFC 3629 (no overlong forms, no surrogates), which is what a fatal TextDecoder
   * takes.
   */
  text(): TextSpan {
    const byteCount = this.varUint();
    const from = this.position;
    this.skip(byteCount);
    const to = this.position;
    let length = byteCount;
    for (let at = from; at < to;) {
      const lead = this.bytes[at] ?? 0;
      if (lead < 0x80) {
        at += 1;
        continue;
      }
      const size = this.sequenceSize(lead, at, to);
      length -= size === 4 ? 2 : size - 1;
      at += size;
    }
    return { from, to, length };
  }

  private sequenceSize(lead: number, at: number, end: number): number {
    const size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    const second = this.bytes[at + 1] ?? 0;
    const misplaced =
      lead < 0xc2 ||
      lead > 0xf4 ||
      at + size > end ||
      (lead === 0xe0 && second < 0xa0) ||
      (lead === 0xed && second > 0x9f) ||
      (lead === 0xf0 && second < 0x90) ||
      (lead === 0xf4 && second > 0x8f);
    if (misplaced) throw invalid(`text is not UTF-8 at byte ${at}`);
    for (let next = 1; next < size; next += 1) {
      if (((this.bytes[at + next] ?? 0) & 0xc0) !== 0x80) throw invalid(`text is not UTF-8 at byte ${at}`);
    }
    return size;
  }

  /**
   * A key of a map, an attribute or a format. `__proto__` is refused: Yjs puts keys into plain objects when
   * it renders.
   */
  skipKey(): void {
    const { from, to } = this.text();
    if (to - from === 9 && this.decode(from, to) === '__proto__') throw notAllowed('a key is __proto__');
  }

  /**
   * JSON as a string, of bounded depth.
   * @param orUndefined also takes the word `undefined`, which old arrays write
   */
  skipJson(orUndefined: boolean): void {
    const { from, to } = this.text();
    const text = this.decode(from, to);
    if (orUndefined && text === 'undefined') return;
    assertFlatJson(text);
    try {
      JSON.parse(text, refuseProto);
    } catch (error) {
      if (error instanceof RefusedUpdateError) throw error;
      throw invalid(`a JSON value is damaged at byte ${from}`);
    }
  }

  /** lib0's `any`. */
  skipAny(depth = 0): void {
    if (depth > MAX_JSON_DEPTH) throw notAllowed(`a value is nested deeper than ${MAX_JSON_DEPTH}`);
    const kind = this.uint8();
    switch (kind) {
      case 127: // undefined
      case 126: // null
      case 121: // false
      case 120: // true
        return;
      case 125:
        this.skipVarInt();
        return;
      case 124:
        this.skip(4);
        return;
      case 123: // float64
      case 122: // bigint
        this.skip(8);
        return;
      case 119:
        this.text();
        return;
      case 118:
        for (let fields = this.count('fields'); fields > 0; fields -= 1) {
          this.skipKey();
          this.skipAny(depth + 1);
        }
        return;
      case 117:
        for (let elements = this.count('elements'); elements > 0; elements -= 1) this.skipAny(depth + 1);
        return;
      case 116:
        this.skipBuffer();
        return;
      default:
        throw invalid(`${kind} is no kind of value`);
    }
  }

  private skipVarInt(): void {
    let byte = this.uint8();
    // The first byte holds a sign and six bits, each further one seven: nine bytes reach beyond 2^53.
    for (let read = 1; byte >= 0x80; read += 1) {
      if (read === 9) throw invalid(`a number is too large at byte ${this.position}`);
      byte = this.uint8();
    }
  }

  private decode(from: number, to: number): string {
    return UTF8.decode(this.bytes.subarray(from, to));
  }
}

function refuseProto(key: string, value: unknown): unknown {
  if (key === '__proto__') throw notAllowed('a key is __proto__');
  return value;
}

/** JSON.parse takes any depth; whatever walks the value afterwards does not. */
function assertFlatJson(text: string): void {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (inString) {
      if (char === '\\') at += 1;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === '{' || char === '[') depth += 1;
    else if (char === '}' || char === ']') depth -= 1;
    if (depth > MAX_JSON_DEPTH) throw notAllowed(`a JSON value is nested deeper than ${MAX_JSON_DEPTH}`);
  }
}
