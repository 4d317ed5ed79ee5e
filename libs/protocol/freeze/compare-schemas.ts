/**
 * Decides mechanically whether a changed schema still lets old and new parts talk (F07). It depends on who
 * reads the message:
 *
 * - `platform`: we read what devices and owning services write. Whatever an old writer sends must still be
 *   accepted and mean the same.
 * - `others`: devices and owning services read what we write. Whatever we send now must be what an old reader
 *   was promised; fields that it does not know it ignores.
 *
 * What cannot be decided mechanically (a changed pattern, reordered variants) counts as breaking; a person
 * may accept it in the version history.
 */
export type Reader = 'platform' | 'others';

/** Part of a JSON Schema, as far as it is compared. Annotations are gone (`normalizeSchema`). */
export interface Schema {
  readonly [keyword: string]: unknown;
}

export interface SchemaChange {
  /** JSON Pointer into the schema. */
  readonly path: string;
  readonly what: string;
  readonly verdict: 'additive' | 'breaking';
}

const ANNOTATIONS = new Set(['$id', 'description', 'title', 'examples', 'default', 'contentEncoding']);

/**
 * The schema without annotations, keys sorted: two schemas are the same contract exactly when these are
 * equal. `properties` holds names and not keywords, so a field called `title` stays.
 */
export function normalizeSchema(schema: unknown, isMap = false): unknown {
  if (Array.isArray(schema)) return schema.map((item) => normalizeSchema(item));
  if (typeof schema !== 'object' || schema === null) return schema;
  const entries = Object.entries(schema)
    .filter(([key]) => isMap || !ANNOTATIONS.has(key))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => [key, normalizeSchema(value, !isMap && MAPS.has(key))] as const);
  return Object.fromEntries(entries);
}

const MAPS = new Set(['properties', 'patternProperties']);

/** @returns every difference between two normalized schemas, in schema order */
export function compareSchemas(before: Schema, after: Schema, reader: Reader, path = ''): SchemaChange[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  return [
    ...compareProperties(before, after, reader, path),
    ...compareValues(before, after, reader, path),
    ...compareVariants(before, after, reader, path),
    ...compareBounds(before, after, reader, path),
    ...compareNested(before, after, reader, path),
    ...compareRest(before, after, path),
  ];
}

const mapOf = (schema: Schema, keyword: string): Readonly<Record<string, Schema>> =>
  (schema[keyword] ?? {}) as Readonly<Record<string, Schema>>;
const listOf = (schema: Schema, keyword: string): readonly unknown[] =>
  (schema[keyword] ?? []) as readonly unknown[];
const pointer = (path: string, ...names: readonly string[]): string =>
  path + names.map((name) => `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

/** Wider: more is allowed than before. Good for a reader, bad for those who read what we write. */
function wider(reader: Reader): SchemaChange['verdict'] {
  return reader === 'platform' ? 'additive' : 'breaking';
}

/**
 * More values or variants; a list marked `x-open` tells its readers from the start to ignore what they do not
 * know.
 */
function grown(before: Schema, reader: Reader): SchemaChange['verdict'] {
  return before['x-open'] === true ? 'additive' : wider(reader);
}

function narrower(reader: Reader): SchemaChange['verdict'] {
  return reader === 'platform' ? 'breaking' : 'additive';
}

function compareProperties(before: Schema, after: Schema, reader: Reader, path: string): SchemaChange[] {
  const [old, now] = [mapOf(before, 'properties'), mapOf(after, 'properties')];
  const [oldRequired, nowRequired] = [listOf(before, 'required'), listOf(after, 'required')];
  return [...new Set([...Object.keys(old), ...Object.keys(now)])].flatMap((name): SchemaChange[] => {
    const at = pointer(path, 'properties', name);
    const [was, is] = [old[name], now[name]];
    if (was === undefined) {
      const required = nowRequired.includes(name);
      const verdict = required ? narrower(reader) : 'additive';
      return [{ path: at, what: `new ${required ? 'required' : 'optional'} field`, verdict }];
    }
    if (is === undefined) return [{ path: at, what: 'field removed', verdict: 'breaking' }];
    const changes = compareSchemas(was, is, reader, at);
    if (oldRequired.includes(name) && !nowRequired.includes(name)) {
      changes.push({ path: at, what: 'no longer required', verdict: wider(reader) });
    } else if (!oldRequired.includes(name) && nowRequired.includes(name)) {
      changes.push({ path: at, what: 'now required', verdict: narrower(reader) });
    }
    return changes;
  });
}

/** `const` is an enum of one. */
function valuesOf(schema: Schema): readonly unknown[] | null {
  if ('const' in schema) return [schema['const']];
  return 'enum' in schema ? listOf(schema, 'enum') : null;
}

function compareValues(before: Schema, after: Schema, reader: Reader, path: string): SchemaChange[] {
  const [old, now] = [valuesOf(before), valuesOf(after)];
  if (old === null && now === null) return [];
  if (old === null) return [{ path, what: 'now a closed list of values', verdict: narrower(reader) }];
  if (now === null) return [{ path, what: 'no longer a closed list of values', verdict: wider(reader) }];
  const added = now.filter((value) => !old.includes(value));
  const removed = old.filter((value) => !now.includes(value));
  return [
    ...added.map((value): SchemaChange => ({
      path,
      what: `new value ${JSON.stringify(value)}`,
      verdict: grown(before, reader),
    })),
    ...removed.map((value): SchemaChange => ({
      path,
      what: `value ${JSON.stringify(value)} removed`,
      verdict: narrower(reader),
    })),
  ];
}

/** Variants keep their order; new ones are appended. */
function compareVariants(before: Schema, after: Schema, reader: Reader, path: string): SchemaChange[] {
  return ['anyOf', 'allOf'].flatMap((keyword) => {
    const old = listOf(before, keyword) as readonly Schema[];
    const now = listOf(after, keyword) as readonly Schema[];
    const shared = old
      .slice(0, now.length)
      .flatMap((variant, index) =>
        compareSchemas(variant, now[index] ?? {}, reader, pointer(path, keyword, String(index))),
      );
    if (now.length === old.length) return shared;
    const grows = now.length > old.length === (keyword === 'anyOf');
    const verdict = grows ? grown(before, reader) : narrower(reader);
    const what = `${Math.abs(now.length - old.length)} ${keyword} variants ${now.length > old.length ? 'added' : 'removed'}`;
    return [...shared, { path: pointer(path, keyword), what, verdict }];
  });
}

const LOWER_BOUNDS = ['minimum', 'exclusiveMinimum', 'minLength', 'minItems', 'minProperties'];
const UPPER_BOUNDS = ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems', 'maxProperties'];

function compareBounds(before: Schema, after: Schema, reader: Reader, path: string): SchemaChange[] {
  const compare = (keyword: string, absent: number, sign: 1 | -1): SchemaChange[] => {
    const [old, now] = [Number(before[keyword] ?? absent), Number(after[keyword] ?? absent)];
    if (old === now) return [];
    const verdict = (now - old) * sign > 0 ? wider(reader) : narrower(reader);
    return [{ path: pointer(path, keyword), what: `${keyword} ${old} is now ${now}`, verdict }];
  };
  return [
    ...LOWER_BOUNDS.flatMap((keyword) => compare(keyword, Number.NEGATIVE_INFINITY, -1)),
    ...UPPER_BOUNDS.flatMap((keyword) => compare(keyword, Number.POSITIVE_INFINITY, 1)),
  ];
}

/** Item and key schemas, which stand under the same keyword before and after. */
function compareNested(before: Schema, after: Schema, reader: Reader, path: string): SchemaChange[] {
  const items =
    isSchema(before['items']) && isSchema(after['items'])
      ? compareSchemas(before['items'], after['items'], reader, pointer(path, 'items'))
      : [];
  const [old, now] = [mapOf(before, 'patternProperties'), mapOf(after, 'patternProperties')];
  const shared = Object.entries(old).flatMap(([pattern, schema]) => {
    const is = now[pattern];
    return is === undefined
      ? []
      : compareSchemas(schema, is, reader, pointer(path, 'patternProperties', pattern));
  });
  return [...items, ...shared];
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const COMPARED = new Set([
  'properties',
  'required',
  'const',
  'enum',
  'anyOf',
  'allOf',
  ...LOWER_BOUNDS,
  ...UPPER_BOUNDS,
]);

/**
 * Everything else must stay as it is: types, patterns, formats, the set of keys, keywords that nobody
 * compared yet.
 */
function compareRest(before: Schema, after: Schema, path: string): SchemaChange[] {
  const keywords = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (key) => !COMPARED.has(key),
  );
  return keywords.flatMap((keyword): SchemaChange[] => {
    const [old, now] = [before[keyword], after[keyword]];
    if (JSON.stringify(old) === JSON.stringify(now)) return [];
    if (keyword === 'items' && isSchema(old) && isSchema(now)) return [];
    if (keyword === 'patternProperties' && sameKeys(old, now)) return [];
    // A list that declares itself open tells readers more and changes nothing.
    if (keyword === 'x-open' && now === true)
      return [{ path, what: 'now an open list', verdict: 'additive' }];
    const text = (schema: Schema): string => (keyword in schema ? JSON.stringify(schema[keyword]) : 'absent');
    const what = `${keyword} was ${text(before)}, is ${text(after)}`;
    return [{ path: pointer(path, keyword), what, verdict: 'breaking' }];
  });
}

function sameKeys(a: unknown, b: unknown): boolean {
  return isSchema(a) && isSchema(b) && Object.keys(a).join('\n') === Object.keys(b).join('\n');
}
