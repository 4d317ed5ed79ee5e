/**
 * As much of RFC 8941 (Structured Field Values) as signed requests need: telling apart the members of a
 * dictionary field. A field may carry members for other readers (a proxy's own signature, a second digest);
 * their values are not looked at.
 */

/** Longer fields are refused before any parsing. */
const MAX_FIELD_LENGTH = 8_192;
const MEMBER = /^([a-z*][a-z0-9_.*-]*)(?:=(.+)|;.*)?$/;

/**
 * @param field the field value; lines of a repeated field joined by commas
 * @returns key → text of the member's value, byte for byte; null when the field is absent, empty, too long or
 *   malformed. A key that comes twice is refused too: RFC 8941 lets the last one win, but a reader before us
 *   may have taken the first.
 */
export function dictionaryMembers(field: string | undefined): ReadonlyMap<string, string> | null {
  if (field === undefined || field.length > MAX_FIELD_LENGTH) return null;
  const parts = splitAtCommas(field);
  if (parts === null) return null;
  const members = new Map<string, string>();
  for (const part of parts) {
    const [, key, value] = MEMBER.exec(part.replace(/^[ \t]+|[ \t]+$/g, '')) ?? [];
    if (key === undefined || members.has(key)) return null;
    members.set(key, value ?? '?1');
  }
  return members;
}

/**
 * Splits at commas that stand neither in a quoted string nor in an inner list; null when one of them is left
 * open.
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
      from = at + 1;
    }
  }
  return quoted || inList ? null : [...parts, field.slice(from)];
}
