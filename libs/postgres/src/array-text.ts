/**
 * A Postgres array as text, for elements that need no escaping: numbers, and texts of a pattern without
 * quotes and backslashes. The driver looks for something to escape in every element, which takes longer than
 * the rest of a statement of a thousand ids.
 */
export function arrayText(elements: readonly (string | number | boolean | null)[]): string {
  return `{${elements.map((element) => (element === null ? 'NULL' : `"${element}"`)).join(',')}}`;
}
