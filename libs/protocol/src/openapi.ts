/**
 * Builds the OpenAPI 3.1 documents of the two HTTP APIs from the schemas, the operations and the problem
 * codes.
 */
import Type, { type TSchema } from 'typebox';
import { type AdminOperation, operationIdOf } from './admin-operation.ts';
import { ADMIN_OPERATIONS } from './admin-operations.ts';
import { type ApiTag, ADMIN_TAGS, DEVICE_TAGS, tagOf } from './api-tags.ts';
import { DEVICE_EXAMPLES, type OperationExamples } from './device-examples.ts';
import { LiveNotice } from './device-api.ts';
import { DEVICE_OPERATIONS, SIGNED_PROBLEMS } from './device-operations.ts';
import type { DeviceOperation } from './device-operations.ts';
import { Problem } from './error-codes.ts';
import { PROBLEM_CODES, type ProblemCode } from './problem-codes.ts';
import { LIMITS } from './limits.ts';
import { SchemaComponents } from './schema-components.ts';
import type { Json, JsonObject } from './schema-components.ts';
import { PROTOCOL_VERSION } from './version/history.ts';

const ADMIN_PROBLEMS: readonly ProblemCode[] = [
  'unauthenticated',
  'forbidden',
  'rate_limited',
  'internal',
  'unavailable',
];

/** `docs/api/sync-v1.openapi.json` */
export function deviceApiDocument(): JsonObject {
  const components = new SchemaComponents();
  const paths = pathsOf(DEVICE_OPERATIONS, (operation) => deviceOperation(operation, components));
  return {
    openapi: '3.1.0',
    info: {
      title: 'Sync protocol v1',
      version: PROTOCOL_VERSION,
      description: DEVICE_INTRODUCTION,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: SERVERS,
    tags: tagList(DEVICE_TAGS),
    paths,
    components: { schemas: components.all(), headers: HEADERS, securitySchemes: DEVICE_SECURITY },
  };
}

/** `docs/api/admin-v1.openapi.json` */
export function adminApiDocument(): JsonObject {
  const components = new SchemaComponents();
  return {
    openapi: '3.1.0',
    info: {
      title: 'Sync admin API v1',
      version: '1.0.0',
      description:
        'For those who look after a tenant, or run the platform: each operation names the roles of which the ' +
        'token needs one. Nothing of another tenant is ever shown.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: SERVERS,
    tags: tagList(ADMIN_TAGS),
    paths: pathsOf(ADMIN_OPERATIONS, (operation) => adminOperation(operation, components)),
    components: {
      schemas: components.all(),
      headers: HEADERS,
      securitySchemes: {
        accessToken: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'Its claim `roles` has one of the roles that the operation names.',
        },
      },
    },
  };
}

const kib = (bytes: number): string =>
  bytes % 1_048_576 === 0 ? `${bytes / 1_048_576} MiB` : `${bytes / 1_024} KiB`;

const DEVICE_INTRODUCTION = [
  'Offline sync for devices: pull what changed, push local mutations, ack what is stored. Every rule and ' +
    'its test: docs/protocol.md.',
  'Additive within v1: clients ignore fields they do not know. 64-bit positions never travel as JSON ' +
    'numbers; cursors are opaque.',
  `Limits: body ${kib(LIMITS.bodyCompressedBytes)} as sent, ${kib(LIMITS.bodyInflatedBytes)} inflated, JSON depth ${LIMITS.jsonDepth}; ${LIMITS.mutationsPerPush} mutations a push, ${kib(LIMITS.mutationBytes)} of data or ${kib(LIMITS.updateLength)} of update each; ${LIMITS.deltasPerPull} deltas and ${LIMITS.scopesPerPull} scopes a pull; ${LIMITS.outcomesPerAck} outcomes an ack; ${LIMITS.clockEntries} entries a clock. Beyond: 413 for bytes, 400 \`limit_exceeded\` for the rest, and nothing is stored.`,
  'Request bodies may be gzip or br (`Content-Encoding`); answers are compressed on `Accept-Encoding`. ' +
    'Errors are RFC 9457 problem documents with a `code` of a closed list.',
].join('\n\n');

const HEADERS: JsonObject = {
  Date: { required: true, schema: { type: 'string' }, description: 'Server time, RFC 9110.' },
  'Content-Encoding': {
    schema: { type: 'string', enum: ['gzip', 'br'] },
    description: 'Absent: not compressed.',
  },
  'Retry-After': {
    schema: { type: 'integer', minimum: 0 },
    description: 'Seconds until another try makes sense.',
  },
};

const SERVERS: Json = [
  {
    url: 'https://{gateway}',
    description: 'The gateway of a deployment.',
    variables: {
      gateway: { default: 'sync.example', description: 'Host, and port where it is not 443.' },
    },
  },
];

/**
 * Headers of a signed request. They are security schemes and no parameters, because an app does not know them
 * where it calls an operation: they are made of the bytes that leave, below the generated client.
 */
const DEVICE_SECURITY: JsonObject = {
  accessToken: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'Claims `sub` = userId, `tid` = tenantId.',
  },
  deviceSignature: {
    type: 'apiKey',
    in: 'header',
    name: 'Signature',
    description:
      'RFC 9421, label `sync`, `hmac-sha256` with the key of the device binding: `sync=:<base64>:`, over ' +
      'what Signature-Input names.',
  },
  signatureInput: {
    type: 'apiKey',
    in: 'header',
    name: 'Signature-Input',
    description:
      '`sync=("@method" "@path" "@query" "content-digest" "authorization");created=<unix s>;' +
      'keyid="<deviceId>";alg="hmac-sha256"`; without "content-digest" for GET. ' +
      `\`created\` within ±${LIMITS.signatureSkewSeconds} s of server time.`,
  },
  contentDigest: {
    type: 'apiKey',
    in: 'header',
    name: 'Content-Digest',
    description: 'RFC 9530: `sha-256=:<base64>:` of the raw body bytes as sent (compressed, if they are).',
  },
  ticket: { type: 'apiKey', in: 'query', name: 'ticket', description: 'From POST /sync/v1/tickets.' },
};

/** Every scheme that a request needs, at once. */
function deviceSecurity({ access, method }: DeviceOperation): JsonObject {
  if (access === 'ticket') return { ticket: [] };
  const ofBody = method === 'post' ? { contentDigest: [] } : {};
  return { accessToken: [], deviceSignature: [], signatureInput: [], ...ofBody };
}

const tagList = (tags: readonly ApiTag[]): Json =>
  tags.map(({ name, description }) => ({ name, description }));

function pathsOf<T extends { readonly path: string; readonly method: string }>(
  operations: readonly T[],
  describe: (operation: T) => JsonObject,
): JsonObject {
  const paths = new Map<string, JsonObject>();
  for (const operation of operations) {
    paths.set(operation.path, { ...paths.get(operation.path), [operation.method]: describe(operation) });
  }
  return Object.fromEntries(paths);
}

function deviceOperation(operation: DeviceOperation, components: SchemaComponents): JsonObject {
  const signed = operation.access === 'signature';
  const operationId = operationIdOf(operation);
  const examples = DEVICE_EXAMPLES[operationId];
  const problems = signed ? [...operation.problems, ...SIGNED_PROBLEMS] : operation.problems;
  return {
    operationId,
    tags: [tagOf(DEVICE_TAGS, operation.path)],
    summary: operation.summary,
    description: operation.description,
    'x-priority': operation.priority,
    security: [deviceSecurity(operation)],
    parameters: [
      ...pathParameters(operation.params, components),
      // A ticket is said by its security scheme.
      ...(signed ? queryParameters(operation.query, components) : []),
    ],
    ...requestBody(operation.body, components, { examples }),
    responses: {
      ...(operation.response === null
        ? switchingProtocols(components)
        : success(operation.response, components, { status: operation.status, examples })),
      ...problemResponses(problems, components),
    },
  };
}

function adminOperation(operation: AdminOperation, components: SchemaComponents): JsonObject {
  const problems = [...operation.problems.map(asProblemCode), ...ADMIN_PROBLEMS];
  const { roles, mediaType } = operation;
  return {
    operationId: operationIdOf(operation),
    tags: [tagOf(ADMIN_TAGS, operation.path)],
    summary: operation.summary,
    description: adminDescription(operation),
    // One requirement a role: any of them is enough.
    security: roles.map((role) => ({ accessToken: [role] })),
    parameters: [
      ...pathParameters(operation.params, components),
      ...queryParameters(operation.query, components),
    ],
    ...requestBody(operation.body, components, { required: operation.bodyIsOptional !== true }),
    responses: {
      ...success(operation.response, components, { mediaType }),
      ...problemResponses(problems, components),
    },
  };
}

function adminDescription(operation: AdminOperation): string {
  const roles = `Roles: ${operation.roles.map((role) => `\`${role}\``).join(', ')}.`;
  const refused = 'Who is refused is written into the audit log';
  return `${roles} ${refused}${'audited' in operation ? ', and so is every change' : ''}.`;
}

function asProblemCode(code: string): ProblemCode {
  if (Object.hasOwn(PROBLEM_CODES, code)) return code as ProblemCode;
  throw new Error(`${code} is not in PROBLEM_CODES`);
}

function pathParameters(
  params: Readonly<Record<string, TSchema>> | undefined,
  components: SchemaComponents,
): JsonObject[] {
  return Object.entries(params ?? {}).map(([name, schema]) => {
    return { name, in: 'path', required: true, schema: components.use(schema) };
  });
}

function queryParameters(query: TSchema | undefined, components: SchemaComponents): JsonObject[] {
  if (query === undefined) return [];
  const { properties, required = [] } = query as { properties: Record<string, TSchema>; required?: string[] };
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema: components.use(schema),
  }));
}

function requestBody(
  body: TSchema | undefined,
  components: SchemaComponents,
  { required = true, examples }: { required?: boolean; examples?: OperationExamples | undefined },
): JsonObject {
  if (body === undefined) return {};
  const content = { 'application/json': mediaContent(body, components, examples?.request) };
  return { requestBody: { required, content } };
}

function mediaContent(schema: TSchema, components: SchemaComponents, example: Json | undefined): JsonObject {
  return { schema: components.use(schema), ...(example === undefined ? {} : { example }) };
}

/** No response is described by the schema of what comes later on a socket; the reference says where it is. */
function switchingProtocols(components: SchemaComponents): JsonObject {
  return {
    '101': {
      description: 'The connection is a WebSocket now; its messages are LiveNotice.',
      'x-messages': components.use(LiveNotice),
    },
  };
}

function success(
  response: TSchema,
  components: SchemaComponents,
  options: {
    readonly status?: 202 | undefined;
    readonly mediaType?: string | undefined;
    readonly examples?: OperationExamples | undefined;
  },
): JsonObject {
  const { status = 200, mediaType = 'application/json', examples } = options;
  return {
    [String(status)]: {
      description: status === 200 ? 'OK' : 'Accepted',
      headers: { Date: headerRef('Date'), 'Content-Encoding': headerRef('Content-Encoding') },
      content: { [mediaType]: mediaContent(response, components, examples?.response) },
    },
  };
}

function headerRef(name: string): JsonObject {
  return { $ref: `#/components/headers/${name}` };
}

/** One response per status, naming every code that comes with it and what the caller can do about it. */
function problemResponses(codes: readonly ProblemCode[], components: SchemaComponents): JsonObject {
  const byStatus = new Map<number, ProblemCode[]>();
  for (const code of [...new Set(codes)]) {
    const { status } = PROBLEM_CODES[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const entries = [...byStatus].sort(([a], [b]) => a - b);
  return Object.fromEntries(
    entries.map(([status, listed]): [string, Json] => [String(status), problemResponse(listed, components)]),
  );
}

function problemResponse(codes: readonly ProblemCode[], components: SchemaComponents): JsonObject {
  const retryAfter = codes.some((code) => code === 'rate_limited' || code === 'unavailable');
  const narrowed = Type.Object({ code: Type.Enum([...codes]) });
  return {
    description: codes
      .map((code) => `\`${code}\`: ${PROBLEM_CODES[code].title}. ${PROBLEM_CODES[code].remedy}`)
      .join('\n\n'),
    headers: { Date: headerRef('Date'), ...(retryAfter ? { 'Retry-After': headerRef('Retry-After') } : {}) },
    content: {
      'application/problem+json': { schema: { allOf: [components.use(Problem), components.use(narrowed)] } },
    },
  };
}
