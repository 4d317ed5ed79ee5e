/**
 * As much of RFC 8941 (Structured Field Values) as signed requests need: telling apart the members of a
 * dictionary field. A field may carry members for other readers (a proxy's own signature, a second digest);
 * their values are not looked at.
 */

/**
 * Longer fields, and those with more members, are refused: this runs before anybody has proven who he is, so
 * its work is bounded, and linear in the bytes that came.
 */
const MAX_FIELD_LENGTH = 8_192;
const MAX_MEMBERS = 32;
const MEMBER = /^([a-z*][a-z0-9_.*-]*)(?:=(.+)|;.*)?$/;

/**
 * @param field the field value; lines of a repeated field joined by commas
 * @returns key → text of the member's value, byte for byte; null when the field is absent, empty, too long, of
 *   too many members or malformed. A key that comes twice is refused too: RFC 8941 lets the last one win, but
 *   a reader before us may have taken the first.
 */
export function dictionaryMembers(field: string | undefined): ReadonlyMap<string, string> | null {
  if (field === undefined || field.length > MAX_FIELD_LENGTH) return null;
  const parts = splitAtCommas(field);
  if (parts === null) return null;
  const members = new Map<string, string>();
  for (const part of parts) {
    const [, key, value] = MEMBER.exec(withoutBlanks(part)) ?? [];
    if (key === undefined || members.has(key)) return null;
    members.set(key, value ?? '?1');
  }
  return members;
}

/** Not by an expression: one for the end would begin anew at every blank. */
function withoutBlanks(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isBlank(text[from])) from += 1;
  while (to > from && isBlank(text[to - 1])) to -= 1;
  return text.slice(from, to);
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t';
}

/**
 * Splits at commas that stand neither in a quoted string nor in an inner list; null when one of them is left
 * open, or there are too many parts.
 */
function splitAtCommas(field: string): string[] | null {
  const parts: string[] = [];
  let from = 0;
  let quoted = false;
  let inList = false;
  for (let at = 0; at < field.length; at += 1) {
    const character = field[at];
    if (quoted) {
      if (character === '\\') at += 1;
      else if (character === '"') quoted = false;
    } else if (character === '"') quoted = true;
    else if (character === '(') inList = true;
    else if (character === ')') inList = false;
    else if (character === ',' && !inList) {
      parts.push(field.slice(from, at));
      if (parts.length === MAX_MEMBERS) return null;
      from = at + 1;
    }
  }
  return quoted || inList ? null : [...parts, field.slice(from)];
}
