/**
 * A Postgres array as text, for elements that need no escaping: numbers, and texts of a pattern without
 * quotes and backslashes. The driver looks for something to escape in every element, which takes longer than
 * the rest of a statement of a thousand ids.
 */
export function arrayText(elements: readonly (string | number | boolean | null)[]): string {
  return `{${elements.map((element) => (element === null ? 'NULL' : `"${element}"`)).join(',')}}`;
}

/** The type `json`. */
const JSON_OID = 114;

/**
 * JSON texts as a parameter of type `json[]`, in the format in which Postgres sends arrays. As an array text
 * they would be escaped; as lines of one text, Postgres looks for the ends of lines in all of it and casts
 * each: a tenth of inserting a hundred rows of a kilobyte.
 */
export function jsonArray(texts: readonly string[]): Buffer {
  // Dimensions, no nulls, type; of the one dimension its length and first index. An empty array has none.
  const head = texts.length === 0 ? [0, 0, JSON_OID] : [1, 0, JSON_OID, texts.length, 1];
  const lengths = texts.map((text) => Buffer.byteLength(text));
  const bytes = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + 4 + length, 4 * head.length));
  let at = 0;
  for (const number of head) at = bytes.writeInt32BE(number, at);
  for (const [place, text] of texts.entries()) {
    at = bytes.writeInt32BE(lengths[place] ?? 0, at);
    at += bytes.write(text, at);
  }
  return bytes;
}
