import type { SeededRandom } from '@sync/e2e-platform';
import type { TSchema } from 'typebox';

/** A JSON value that is built to harm whoever reads it carelessly. */
export function hostileValue(random: SeededRandom, known: readonly string[]): unknown {
  return random.pick<() => unknown>([
    () => random.pick(known),
    () => null,
    () => random.pick([true, false]),
    () => random.pick([-1, 0, 0.1, -0, 1e308, 5e-324, 2 ** 53, 2 ** 63, -(2 ** 31), 4_294_967_296]),
    () =>
      random.pick(['', ' ', '\u0000', '\ud800', '\u202e', 'ﷺ'.repeat(20), '__proto__', '../../etc', '%00']),
    () =>
      random.pick([
        "'; DROP TABLE mutation; --",
        '${jndi:ldap://a}',
        '{{7*7}}',
        '*',
        '>',
        'sync.>',
        '_INBOX.>',
      ]),
    () => random.pick(['x'.repeat(70_000), '9'.repeat(400), 'user:'.repeat(200), '['.repeat(40)]),
    () => random.pick(['2026-02-30T00:00:00Z', '-271821-04-20T00:00:00Z', '1e3', 'NaN', 'Infinity', '0x10']),
    () => [],
    () => ({}),
    () => nested(random.between(2, 60)),
    () => Array.from({ length: random.between(2, 600) }, (_, at) => at),
    () => Object.fromEntries(Array.from({ length: random.between(2, 300) }, (_, at) => [`d:${at}`, at])),
    () => JSON.parse('{"__proto__":{"admin":true},"constructor":{"prototype":{"x":1}}}') as unknown,
  ])();
}

function nested(levels: number): unknown {
  return levels === 0 ? 'inside' : levels % 2 === 0 ? [nested(levels - 1)] : { a: nested(levels - 1) };
}

/**
 * A value that a schema allows, or nearly: patterns are met where one of the known texts meets them.
 * @param known ids, scopes, cursors and moments of the world that is attacked
 */
export function valueOf(schema: TSchema, random: SeededRandom, known: readonly string[]): unknown {
  const { anyOf, allOf, enum: values, type, properties, items, patternProperties } = schema as JsonSchema;
  if ('const' in schema) return schema['const'];
  if (values) return random.pick(values);
  if (anyOf) return valueOf(random.pick(anyOf), random, known);
  if (allOf) return Object.assign({}, ...allOf.map((one) => valueOf(one, random, known)));
  switch (type) {
    case 'object': {
      const own = Object.entries(properties ?? {}).filter(([name]) => {
        return (schema as JsonSchema).required?.includes(name) === true || random.next() < 0.5;
      });
      const free = Object.values(patternProperties ?? {}).slice(0, 1);
      return Object.fromEntries([
        ...own.map(([name, one]) => [name, valueOf(one, random, known)]),
        ...free.map((one) => [random.pick(known), valueOf(one, random, known)]),
      ]);
    }
    case 'array': {
      const { minItems = 0, maxItems = 3 } = schema as JsonSchema;
      const length = random.between(minItems, Math.max(minItems, Math.min(maxItems, 3)));
      return Array.from({ length }, () => (items ? valueOf(items, random, known) : null));
    }
    case 'integer':
    case 'number': {
      const { minimum = 0, maximum = 1_000 } = schema as JsonSchema;
      return random.between(minimum, Math.min(maximum, minimum + 10_000));
    }
    case 'string':
      return textOf(schema, random, known);
    case 'boolean':
      return random.pick([true, false]);
    case 'null':
      return null;
    default:
      return hostileValue(random, known);
  }
}

interface JsonSchema {
  readonly anyOf?: readonly TSchema[];
  readonly allOf?: readonly TSchema[];
  readonly enum?: readonly unknown[];
  readonly type?: string;
  readonly properties?: Readonly<Record<string, TSchema>>;
  readonly patternProperties?: Readonly<Record<string, TSchema>>;
  readonly required?: readonly string[];
  readonly items?: TSchema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly maxLength?: number;
}

function textOf(
  { pattern, maxLength = 200 }: JsonSchema,
  random: SeededRandom,
  known: readonly string[],
): string {
  const fits = pattern === undefined ? known : known.filter((one) => new RegExp(pattern, 'u').test(one));
  const short = fits.filter(({ length }) => length <= maxLength);
  return random.pick(short.length > 0 ? short : known);
}
