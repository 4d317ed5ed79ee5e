/**
 * The canonical JSON text of RFC 8785 (JCS) that every library of that name writes: keys in the order of their
 * UTF-16 units, numbers and strings as ECMAScript writes them, no spaces. {@link canonicalJson} orders keys by
 * code point, which differs for keys with characters above U+FFFF.
 *
 * RFC 8785 knows no half of a surrogate pair; here one is written as its escape. No request may have it
 * (COMMON-15), so that nothing which was taken depends on this.
 *
 * Recursive: for values of bounded depth.
 * @param value what `JSON.parse` returns; a field that is undefined counts as left out, as in `JSON.stringify`
 * @throws TypeError for what is not JSON: functions, bigint, NaN and the infinities
 */
export function rfc8785Json(value: unknown): string {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return JSON.stringify(value);
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(rfc8785Json).join(',')}]`;
  if (typeof value !== 'object') throw new TypeError(`not a JSON value: ${typeof value}`);
  const object = value as Readonly<Record<string, unknown>>;
  // `sort` without a function compares UTF-16 units.
  const keys = Object.keys(object)
    .filter((key) => object[key] !== undefined)
    .sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${rfc8785Json(object[key])}`).join(',')}}`;
}
