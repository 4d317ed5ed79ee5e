import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { fullFormats } from 'ajv-formats/dist/formats.js';
import Type from 'typebox';
import { ADMIN_OPERATIONS } from './admin-operations.ts';
import { apiDocuments } from './api-documents.ts';
import { DEVICE_OPERATIONS } from './device-operations.ts';
import { PROBLEM_CODES } from './problem-codes.ts';
import { NATS_CHANNELS } from './nats-channels.ts';
import { SchemaComponents } from './schema-components.ts';
import { STREAMS } from './streams.ts';
import { subjects } from './subjects.ts';
import { SYNC_EVENT_DATA } from './sync-events.ts';

interface Body {
  readonly content?: Readonly<Record<string, { readonly example?: unknown }>>;
}
interface Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly security: readonly object[];
  readonly parameters: readonly object[];
  readonly requestBody?: Body & { readonly required: boolean };
  readonly responses: Readonly<Record<string, Body & { readonly description: string }>>;
}
interface Channel {
  readonly address: string | null;
  readonly messages: Readonly<Record<string, { readonly payload: DescribedSchema }>>;
}
interface Document {
  readonly servers: readonly object[];
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly channels: Readonly<Record<string, Channel>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

const folder = resolve(import.meta.dirname, '../../../docs/api');
const documents = apiDocuments();
const parsed = (file: string): Document => JSON.parse(documents.get(file) ?? '{}') as Document;
const operationsOf = (file: string): Operation[] =>
  Object.values(parsed(file).paths).flatMap((path) => Object.values(path));

/** The component schemas of a document, as JSON Schema without the document around them. */
function schemasOf(file: string): { readonly names: readonly string[]; readonly schema: object } {
  const { schemas } = parsed(file).components;
  const text = JSON.stringify({ $defs: schemas }).replaceAll('#/components/schemas/', '#/$defs/');
  return { names: Object.keys(schemas), schema: JSON.parse(text) as object };
}

const OPENAPI = ['sync-v1.openapi.json', 'admin-v1.openapi.json'];

describe('the documents in docs/api', () => {
  it.each([...documents.keys()])('%s is what the code generates', async (file) => {
    const stored = await readFile(resolve(folder, file), 'utf8').catch(() => '');
    // On a difference: node --conditions=source libs/protocol/generate-api-docs.ts
    expect(stored === documents.get(file)).toBe(true);
  });
});

describe.each(OPENAPI)('%s', (file) => {
  it('is OpenAPI 3.1', async () => {
    const document = parsed(file);
    expect(await new Validator().validate({ ...document })).toMatchObject({ valid: true });
    expect(await new Validator().validate({ ...document, paths: { pull: {} } })).toMatchObject({
      valid: false,
    });
  });

  it('has only schemas that a JSON Schema 2020-12 validator compiles', () => {
    const { names, schema } = schemasOf(file);
    const ajv = new Ajv2020({
      strict: true,
      strictRequired: false,
      formats: fullFormats,
      keywords: ['x-open'],
    }).addSchema(schema, 'all');
    expect(names.length).toBeGreaterThan(5);
    for (const name of names) expect(ajv.getSchema(`all#/$defs/${name}`)).toBeInstanceOf(Function);
  });

  it('names every operation once', () => {
    const ids = operationsOf(file).map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('has a server, and each operation one of its tags', () => {
    const { servers, tags } = parsed(file);
    expect(servers).toMatchObject([{ url: 'https://{gateway}' }]);
    const used = operationsOf(file).map((operation) => operation.tags);
    expect(used.filter(({ length }) => length !== 1)).toEqual([]);
    expect([...new Set(used.flat())].sort()).toEqual(tags.map(({ name }) => name).sort());
  });

  it('gives the values of every map a type of their own', () => {
    // Generators of clients read a map by pattern as an object without properties.
    expect(documents.get(file)).not.toContain('"patternProperties"');
    const known = parsed(file).components.schemas['ConflictDecision'];
    expect(known).toMatchObject({
      properties: { clock: { type: 'object', additionalProperties: { type: 'integer' } } },
    });
  });

  it('describes every problem code by what the caller can do', () => {
    const text = documents.get(file) ?? '';
    const responses = operationsOf(file).flatMap((operation) => Object.entries(operation.responses));
    expect(responses.filter(([, { description }]) => description === '')).toEqual([]);
    expect(text).toContain(PROBLEM_CODES.unavailable.remedy);
  });
});

describe('sync-v1.openapi.json', () => {
  const { paths } = parsed('sync-v1.openapi.json');

  it('has every operation of the device API', () => {
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(described.sort()).toEqual(DEVICE_OPERATIONS.map(({ method, path }) => `${method} ${path}`).sort());
  });

  it('asks for a signature below the app, and for a digest where there is a body', () => {
    const schemesOf = ({ security }: Operation): string[][] => security.map((all) => Object.keys(all));
    const signed = ['accessToken', 'deviceSignature', 'signatureInput'];
    const found = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => [`${method} ${path}`, schemesOf(operation)]),
    );
    expect(Object.fromEntries(found)).toEqual(
      Object.fromEntries(
        DEVICE_OPERATIONS.map(({ method, path, access }) => {
          const withBody = method === 'post' ? [...signed, 'contentDigest'] : signed;
          return [`${method} ${path}`, [access === 'ticket' ? ['ticket'] : withBody]];
        }),
      ),
    );
    // What has to be signed is not asked of whoever calls an operation.
    const inHeaders = operationsOf('sync-v1.openapi.json').flatMap(({ parameters }) =>
      parameters.filter((parameter) => 'in' in parameter && parameter.in === 'header'),
    );
    expect(inHeaders).toEqual([]);
  });

  it('shows an example of every body that a device sends or gets', () => {
    const bodies = operationsOf('sync-v1.openapi.json').flatMap(({ operationId, requestBody, responses }) =>
      [requestBody, responses['200'] ?? responses['202']].flatMap((body) =>
        body?.content === undefined ? [] : [[operationId, body.content['application/json']] as const],
      ),
    );
    expect(bodies.filter(([, json]) => json?.example === undefined)).toEqual([]);
    expect(bodies.length).toBe(13);
  });

  it('names every answer of a pull', () => {
    const pull = paths['/sync/v1/pull']?.['post'];
    expect(Object.keys(pull?.responses ?? {})).toEqual([
      '200',
      '400',
      '401',
      '403',
      '413',
      '415',
      '429',
      '500',
      '503',
    ]);
  });
});

describe('admin-v1.openapi.json', () => {
  it('has every operation of the admin API', () => {
    const described = operationsOf('admin-v1.openapi.json');
    expect(described).toHaveLength(ADMIN_OPERATIONS.length);
  });

  it('asks for a body where one is needed, and only there', () => {
    const bodies = operationsOf('admin-v1.openapi.json').flatMap(({ operationId, requestBody }) =>
      requestBody === undefined ? [] : [[operationId, requestBody.required] as const],
    );
    expect(Object.fromEntries(bodies)).toEqual({
      postDeadLettersReplay: false,
      putRegistrationsService: true,
      putSuggestions: true,
    });
  });
});

/** A schema, as far as it says what it is about. */
interface DescribedSchema {
  readonly $ref?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, DescribedSchema>>;
  readonly items?: DescribedSchema;
  readonly additionalProperties?: DescribedSchema | boolean;
  readonly anyOf?: readonly DescribedSchema[];
}

/** Looks for properties that nobody has described, neither where they are nor in the component. */
class Described {
  readonly without: string[] = [];
  properties = 0;
  readonly #schemas: Readonly<Record<string, DescribedSchema>>;
  readonly #seen = new Set<string>();

  constructor(schemas: Readonly<Record<string, DescribedSchema>>) {
    this.#schemas = schemas;
  }

  look(schema: DescribedSchema, path: string): void {
    const { $ref, properties = {}, items, additionalProperties, anyOf = [] } = schema;
    if ($ref !== undefined && !this.#seen.has($ref)) {
      this.#seen.add($ref);
      this.look(this.#named($ref), $ref);
    }
    for (const [name, property] of Object.entries(properties)) {
      const at = `${path}/${name}`;
      const component = property.$ref === undefined ? undefined : this.#named(property.$ref);
      if (!property.description && !component?.description) this.without.push(at);
      this.properties += 1;
      this.look(property, at);
    }
    if (items) this.look(items, `${path}[]`);
    if (typeof additionalProperties === 'object') this.look(additionalProperties, `${path}{}`);
    for (const variant of anyOf) this.look(variant, path);
  }

  #named($ref: string): DescribedSchema {
    return this.#schemas[$ref.replace('#/components/schemas/', '')] ?? {};
  }
}

describe('asyncapi.json', () => {
  const { channels, components } = parsed('asyncapi.json');
  const payloadOf = (message: string): DescribedSchema => {
    const channel = Object.values(channels).find(({ messages }) => Object.hasOwn(messages, message));
    return channel?.messages[message]?.payload ?? {};
  };
  const addresses = Object.values(channels).map(({ address }) => address);
  let metaSchema: object;

  beforeAll(async () => {
    const path = createRequire(import.meta.url).resolve('@asyncapi/specs/schemas/3.0.0-without-$id.json');
    metaSchema = JSON.parse(await readFile(path, 'utf8')) as object;
  });

  it('is AsyncAPI 3', () => {
    const ajv = new Ajv({ strict: false, formats: fullFormats });
    const validate = ajv.compile(metaSchema);
    const document = parsed('asyncapi.json');
    expect({ valid: validate(document), errors: validate.errors }).toEqual({ valid: true, errors: null });
    expect(validate({ ...document, channels: { pull: { address: 5 } } })).toBe(false);
  });

  it('has only schemas that a JSON Schema validator compiles', () => {
    const { names, schema } = schemasOf('asyncapi.json');
    const ajv = new Ajv({
      strict: true,
      strictRequired: false,
      formats: fullFormats,
      keywords: ['x-open'],
    }).addSchema(schema, 'all');
    for (const name of names) expect(ajv.getSchema(`all#/$defs/${name}`)).toBeInstanceOf(Function);
  });

  it('has a channel for every stream and every subject', () => {
    for (const { subjectPrefix } of Object.values(STREAMS)) {
      expect(addresses).toContain(`${subjectPrefix}.{partition}.{producer}`);
    }
    const built = Object.entries(subjects).map(([name, subject]): [string, string] => {
      if (typeof subject === 'string') return [name, subject];
      const pattern: Readonly<Record<string, string>> = {
        streamMessage: subjects.streamMessage('DELTAS', '{partition}', '{producer}'),
        plainEvents: subjects.plainEvents('{service}', '{entityType}'),
        push: subjects.push('{service}', '{entityType}'),
        snapshot: subjects.snapshot('{service}', '{entityType}'),
        upcast: subjects.upcast('{service}', '{entityType}'),
        registerAs: subjects.registerAs('{service}'),
        relayHead: subjects.relayHead('{stream}', '{partition}', '{producer}'),
        relayHeads: subjects.relayHead('{stream}', '{partition}', '{producer}'),
        replay: subjects.replay('{producer}'),
        relayKick: subjects.relayKick('{producer}'),
        faults: subjects.faults('{service}'),
      };
      return [name, pattern[name] ?? `${name}: no pattern`];
    });
    expect(built.filter(([, address]) => !addresses.includes(address))).toEqual([]);
  });

  it('catalogues every sync event', () => {
    const names = Object.keys(SYNC_EVENT_DATA).map((type) => type.replaceAll('.', '').toLowerCase());
    const schemas = Object.keys(components.schemas).map((name) => name.toLowerCase());
    expect(names.filter((name) => !schemas.includes(name))).toEqual([]);
  });

  it('describes everything that an owning service sends', () => {
    const { schemas } = components;
    const sent = NATS_CHANNELS.filter(({ audience }) => audience === 'public').flatMap((channel) => {
      const own = channel.senders.includes('owner');
      if (channel.kind !== 'request') return own ? channel.messages : [];
      return [
        ...(own ? [channel.request] : []),
        ...(channel.receivers.includes('owner') ? [channel.reply] : []),
      ];
    });
    const found = new Described(schemas);
    for (const { name } of sent) found.look(payloadOf(name), name);
    expect(found.properties).toBeGreaterThan(100);
    expect(found.without).toEqual([]);
    // It does find one that is missing.
    const lacking = new Described({});
    lacking.look({ properties: { list: { description: 'Some.', items: { properties: { one: {} } } } } }, '');
    expect(lacking.without).toEqual(['/list[]/one']);
  });

  it('marks the frozen part', () => {
    const frozen = NATS_CHANNELS.filter(({ audience }) => audience === 'public').map(({ name }) => name);
    expect(frozen.sort()).toEqual(
      [
        'domainEvents',
        'plainDomainEvents',
        'syncEvents',
        'push',
        'snapshot',
        'upcast',
        'register',
        'registerAs',
        'remoteProjection',
        'deviceBindingVerify',
        'deviceBindingRevoked',
      ].sort(),
    );
  });
});

describe('SchemaComponents', () => {
  const Inner = Type.Object({ a: Type.String() }, { $id: 'Inner' });

  it('writes a named schema once and refers to it', () => {
    const components = new SchemaComponents();
    const used = components.use(
      Type.Object({ list: Type.Array(Inner), one: Type.Union([Inner, Type.Null()]) }),
    );
    expect(used).toEqual({
      type: 'object',
      required: ['list', 'one'],
      properties: {
        list: { type: 'array', items: { $ref: '#/components/schemas/Inner' } },
        one: { anyOf: [{ $ref: '#/components/schemas/Inner' }, { type: 'null' }] },
      },
    });
    expect(components.all()).toEqual({
      Inner: { type: 'object', required: ['a'], properties: { a: { type: 'string' } } },
    });
  });

  it('writes a map so that generators see the type of its values', () => {
    const use = (pattern: string): object =>
      new SchemaComponents().use(
        Type.Record(Type.String({ pattern }), Type.Integer(), {
          maxProperties: 2,
          additionalProperties: false,
        }),
      );
    expect(use('^a')).toEqual({
      type: 'object',
      maxProperties: 2,
      additionalProperties: { type: 'integer' },
      propertyNames: { pattern: '^a' },
    });
    const any = new SchemaComponents().use(Type.Record(Type.String(), Type.Integer()));
    expect(any).toEqual({ type: 'object', additionalProperties: { type: 'integer' } });
  });

  it('refuses two schemas of one name', () => {
    const components = new SchemaComponents();
    components.use(Inner);
    const other = Type.Object({ b: Type.String() }, { $id: 'Inner' });
    expect(() => components.use(other)).toThrow('two different schemas are called Inner');
  });
});
