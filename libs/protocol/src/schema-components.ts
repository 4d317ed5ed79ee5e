import type { TSchema } from 'typebox';

/** Plain JSON: a schema, or any part of a generated document. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

/**
 * Collects schemas for the `components` of a generated document. A schema with an `$id` becomes a component
 * under that name and is referenced wherever it stands; one without is written out in place.
 */
export class SchemaComponents {
  readonly #found = new Map<string, { readonly text: string; readonly schema: JsonObject }>();

  /**
   * @returns what to write where the schema is used: `{"$ref": "#/components/schemas/<$id>"}`, or the schema
   * itself
   * @throws Error when two different schemas claim one name
   */
  use(schema: TSchema): JsonObject {
    // TypeBox keeps its own marks in properties that JSON leaves out.
    return this.#replace(JSON.parse(JSON.stringify(schema)) as JsonObject) as JsonObject;
  }

  /** Every component seen so far, by name in alphabetical order. */
  all(): JsonObject {
    const entries = [...this.#found].sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(entries.map(([name, { schema }]) => [name, schema]));
  }

  #replace(value: Json): Json {
    if (value === null || typeof value !== 'object') return value;
    if (isArray(value)) return value.map((item) => this.#replace(item));
    const { $id: name, ...rest } = value;
    const replaced = Object.fromEntries(
      Object.entries(typed(mapOfValues(rest))).map(([key, child]) => [key, this.#replace(child)]),
    );
    return typeof name === 'string' ? this.#component(name, replaced) : replaced;
  }

  #component(name: string, schema: JsonObject): JsonObject {
    const text = JSON.stringify(schema);
    const known = this.#found.get(name);
    if (known !== undefined && known.text !== text)
      throw new Error(`two different schemas are called ${name}`);
    this.#found.set(name, { text, schema });
    return { $ref: `#/components/schemas/${name}` };
  }
}

/** What TypeBox writes for keys of any text. */
const ANY_KEY = '^.*$';

/**
 * A map with one pattern of keys, as generators of clients understand it. They read `patternProperties` as an
 * object without properties; `additionalProperties` with `propertyNames` allows the same objects, and gives
 * the type of the values.
 */
function mapOfValues(schema: JsonObject): JsonObject {
  const { patternProperties, additionalProperties: _others, ...rest } = schema;
  const [[pattern, values] = [], ...more] = Object.entries((patternProperties ?? {}) as JsonObject);
  if (pattern === undefined || values === undefined || more.length > 0) return schema;
  return {
    ...rest,
    additionalProperties: values,
    ...(pattern === ANY_KEY ? {} : { propertyNames: { pattern } }),
  };
}

const MAX_INT32 = 2 ** 31 - 1;

/**
 * Says of a value what TypeBox leaves to be understood: that a list of texts is of texts, and that a whole
 * number needs more than the 32 bits that generators for Java or C# otherwise give it.
 */
function typed(schema: JsonObject): JsonObject {
  const { enum: values, type, maximum } = schema;
  if (isArray(values ?? null) && type === undefined) return { type: 'string', ...schema };
  const isLong = type === 'integer' && typeof maximum === 'number' && maximum > MAX_INT32;
  return isLong ? { ...schema, format: 'int64' } : schema;
}

/** `Array.isArray` does not narrow read-only arrays. */
function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
