import { shorten, readJson } from '@sync/domain';
import { LIMITS, MAX_PATH_LENGTH } from './limits.ts';

export type ParsedJson =
  | {
      readonly ok: true;
      readonly value: unknown;
      /**
       * True when the text may hold something that parses but must not be stored: run `findUnstorable` over the
       * parts.
       */
      readonly suspicious: boolean;
    }
  | { readonly ok: false; readonly code: 'malformed_json' | 'limit_exceeded'; readonly detail: string };

/**
 * Parses JSON text after a single pass that bounds its depth and the number of its values: JSON.parse itself
 * accepts a depth of 100,000, every recursive walker after it would overflow, and 8 MiB of empty objects take
 * it a second. The same pass notices what survives parsing but not storage (see `findUnstorable`).
 * @param text at most `LIMITS.bodyInflatedBytes` long; the caller bounds it
 * @param maxValues commas and opening brackets outside of strings
 */
export function parseJson(
  text: string,
  maxDepth: number = LIMITS.jsonDepth,
  maxValues = Number.POSITIVE_INFINITY,
): ParsedJson {
  const scan = scanJson(text, maxDepth, maxValues);
  if (scan.over === 'depth') {
    return { ok: false, code: 'limit_exceeded', detail: `JSON is nested deeper than ${maxDepth}` };
  }
  if (scan.over === 'values') {
    return { ok: false, code: 'limit_exceeded', detail: `JSON has more than ${maxValues} values` };
  }
  try {
    return {
      ok: true,
      value: readJson(text),
      suspicious: scan.suspicious || isSuspicious(text),
    };
  } catch {
    return { ok: false, code: 'malformed_json', detail: 'The body is not valid JSON' };
  }
}

/** Only a text that was never UTF-8 bytes can hold a lone surrogate without an escape. */
function isSuspicious(text: string): boolean {
  return text.includes('__proto__') || text.includes('\\u') || !text.isWellFormed();
}

/** Whether JSON text is nested deeper than that; a pass over the text, without parsing it. */
export function isNestedDeeper(text: string, maxDepth: number): boolean {
  return scanJson(text, maxDepth, Number.POSITIVE_INFINITY).over === 'depth';
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;

interface Scan {
  /** The bound that is broken; the rest of the text was not looked at. */
  readonly over: 'depth' | 'values' | null;
  readonly suspicious: boolean;
}

function scanJson(text: string, maxDepth: number, maxValues: number): Scan {
  let depth = 0;
  let values = 0;
  let digits = 0;
  let suspicious = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at + 1);
      digits = 0;
    } else if (code >= 0x30 && code <= 0x39) {
      digits += 1;
      if (digits > 15) suspicious = true;
    } else if (code === 0x7b || code === 0x5b) {
      depth += 1;
      values += 1;
      if (depth > maxDepth) return { over: 'depth', suspicious };
      if (values > maxValues) return { over: 'values', suspicious };
    } else {
      if (code === COMMA) {
        values += 1;
        if (values > maxValues) return { over: 'values', suspicious };
      } else if (code === 0x7d || code === 0x5d) depth -= 1;
      if (code === 0x65 || code === 0x45) suspicious = suspicious || digits > 0;
      digits = 0;
    }
  }
  return { over: null, suspicious };
}

/** The position of the closing quote, or the end of a broken text. */
function endOfString(text: string, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) return at;
    if (code === BACKSLASH) at += 1;
  }
  return text.length;
}

/**
 * Finds the first place of a parsed JSON value that cannot be kept as it was sent: a `__proto__` key, an
 * integer beyond ±(2^53 − 1) (JSON.parse has already rounded it), an infinite number, a NUL character or a
 * lone surrogate (Postgres stores neither).
 * @param value parsed JSON, depth already bounded
 * @returns JSON Pointer and reason, or null when all of it is fine
 */
export function findUnstorable(value: unknown): { path: string; message: string } | null {
  const fault = findFault(value, '');
  return fault && { ...fault, path: shorten(fault.path, MAX_PATH_LENGTH) };
}

function findFault(value: unknown, path: string): { path: string; message: string } | null {
  if (typeof value === 'string') return faultOfString(value, path);
  if (typeof value === 'number') return faultOfNumber(value, path);
  if (typeof value !== 'object' || value === null) return null;
  for (const [key, child] of Object.entries(value)) {
    const childPath = `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    if (key === '__proto__') return { path: childPath, message: 'this key is not allowed' };
    const fault = faultOfString(key, childPath) ?? findFault(child, childPath);
    if (fault) return fault;
  }
  return null;
}

/** Devices check with it too, and not every engine of theirs has `isWellFormed`. */
const LONE_SURROGATE = /[\uD800-\uDFFF]/u;

function faultOfString(text: string, path: string): { path: string; message: string } | null {
  if (text.includes('\u0000')) return { path, message: 'a NUL character cannot be stored' };
  return LONE_SURROGATE.test(text) ? { path, message: 'a lone surrogate cannot be stored' } : null;
}

function faultOfNumber(number: number, path: string): { path: string; message: string } | null {
  if (!Number.isFinite(number)) return { path, message: 'the number is out of range' };
  if (Number.isInteger(number) && !Number.isSafeInteger(number)) {
    return { path, message: 'an integer beyond 2^53 - 1 would be rounded; send it as a string' };
  }
  return null;
}
