/** The last escape of a key, its rest and its colon; a text may look like it, which costs only time. */
const ESCAPED_KEY = /\\.[^"\\]*"\s*:/;
const COLON = /\s*:/y;

/**
 * As `JSON.parse`, for texts in which somebody else chose the keys. V8 from 12.8 on (Node 24 to 26, and the
 * browsers made of it) compares a key that has an escape as it is written, and not as it is meant, with the
 * keys of objects that it has parsed before: once `{"\\":1}` was read, `{"\"":1}` and `{"\n":1}` have the key
 * `\` as well (https://github.com/nodejs/node/issues/63785). Texts that have such keys are read with other
 * ones in their stead, ten times as slowly.
 * @throws SyntaxError
 */
export function readJson(text: string): unknown {
  if (!ESCAPED_KEY.test(text)) return JSON.parse(text);
  const names: string[] = [];
  const root: unknown[] = [JSON.parse(withoutNames(text, names))];
  const holders: object[] = [root];
  // No reviver and no recursion: texts may be nested more deeply than a stack is high.
  for (const holder of holders) {
    for (const [key, child] of Array.isArray(holder) ? holder.entries() : Object.entries(holder)) {
      if (typeof child !== 'object' || child === null) continue;
      const named = Array.isArray(child) ? child : withNames(child as object, names);
      (holder as Record<string | number, unknown>)[key] = named;
      holders.push(named);
    }
  }
  return root[0];
}

function withNames(value: object, names: readonly string[]): object {
  return Object.fromEntries(
    Object.entries(value).map(([key, child]): [string, unknown] => [
      names[Number(key.slice(1))] ?? '',
      child,
    ]),
  );
}

/** The text with each key replaced by `k` and its place in `names`, which are filled. */
function withoutNames(text: string, names: string[]): string {
  const places = new Map<string, number>();
  const parts: string[] = [];
  let copied = 0;
  let end = 0;
  for (let start = text.indexOf('"'); start >= 0; start = text.indexOf('"', end)) {
    end = start + 1;
    while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
    end += 1;
    COLON.lastIndex = end;
    if (!COLON.test(text)) continue;
    // By name: the same one may be written in several ways.
    const name = JSON.parse(text.slice(start, end)) as string;
    const place = places.get(name) ?? names.push(name) - 1;
    places.set(name, place);
    parts.push(text.slice(copied, start), `"k${place}"`);
    copied = end;
  }
  parts.push(text.slice(copied));
  return parts.join('');
}
