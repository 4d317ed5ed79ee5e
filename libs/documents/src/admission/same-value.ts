/**
 * Whether two values that Yjs has read from bytes say the same: what JSON has, bytes, `undefined`, a
 * bigint, or a class. Numbers are the same as `Object.is` has it, so that NaN sent again is a repetition.
 */
export function isSameValue(one: unknown, other: unknown): boolean {
  if (one instanceof Uint8Array && other instanceof Uint8Array) return isSameList(one, other);
  if (Array.isArray(one) && Array.isArray(other)) return isSameList(one, other);
  if (!isObject(one) || !isObject(other)) return Object.is(one, other);
  const fields = Object.keys(one);
  if (fields.length !== Object.keys(other).length) return false;
  return fields.every((field) => Object.hasOwn(other, field) && isSameValue(one[field], other[field]));
}

function isSameList(one: ArrayLike<unknown>, other: ArrayLike<unknown>): boolean {
  if (one.length !== other.length) return false;
  for (let at = 0; at < one.length; at += 1) if (!isSameValue(one[at], other[at])) return false;
  return true;
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
