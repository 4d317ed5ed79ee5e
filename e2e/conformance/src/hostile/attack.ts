import { signRequest } from '@sync/e2e-device';
import { seededRandom, seedOf, type SeededRandom } from '@sync/e2e-platform';
import { ADMIN_OPERATIONS, DEVICE_OPERATIONS, PROBLEM_CODES } from '@sync/protocol';
import type { TSchema } from 'typebox';
import type { CanaryWorld } from './canary-world.ts';
import { distortBytes, distortHeaders, distortPath, distortValue, type Draft } from './distort.ts';
import { valueOf } from './hostile-values.ts';

/** How an attack went, when nothing was wrong. */
export interface AttackReport {
  /** Answers by status. */
  readonly statuses: ReadonlyMap<number, number>;
  /** Problem codes that came. */
  readonly codes: ReadonlySet<string>;
  /** Connections that the server closed without an answer, as it may with bytes that are no HTTP. */
  readonly closed: number;
}

/** An answer that the server must not give. */
export class HarmError extends Error {
  override readonly name = 'HarmError';
}

const AT_ONCE = 12;
const ANSWER_MS = 60_000;
/** Waiting for news is no attack. */
const MOST_WAIT_MS = 5;

interface Operation {
  readonly method: string;
  readonly path: string;
  readonly params?: Readonly<Record<string, TSchema>>;
  readonly query?: TSchema;
  readonly body?: TSchema;
}

const DEVICE: readonly Operation[] = DEVICE_OPERATIONS.filter(({ access }) => access === 'signature');

/**
 * Sends requests that are nearly right, or not at all, to every operation of the gateway.
 *
 * Each is answered, with no status of 500 and above but 503 with `Retry-After`; each problem is a problem
 * document with a code of the protocol; and none has a word that its caller may not see.
 * @param count requests
 * @param seed the same seed makes the same requests, apart from the ids of the world
 * @throws HarmError with the number of the request, what was sent and what came
 */
export async function attack(
  gatewayUrl: string,
  world: CanaryWorld,
  count: number,
  seed: number,
): Promise<AttackReport> {
  const statuses = new Map<number, number>();
  const codes = new Set<string>();
  let [next, closed] = [0, 0];
  const attackOn = async (): Promise<void> => {
    while (next < count) {
      const number = next++;
      const answer = await sendOne(gatewayUrl, world, seededRandom(seedOf(seed, number)), number);
      if (answer === 'closed') closed += 1;
      else {
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        if (answer.code !== undefined) codes.add(answer.code);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, attackOn));
  return { statuses, codes, closed };
}

async function sendOne(
  gatewayUrl: string,
  world: CanaryWorld,
  random: SeededRandom,
  number: number,
): Promise<{ readonly status: number; readonly code?: string } | 'closed'> {
  const caller = random.pick(world.callers);
  const isDevice = random.next() < 0.65;
  const draft = draftOf(random.pick(isDevice ? DEVICE : ADMIN_OPERATIONS), world, random);
  const url = urlOf(draft.path, gatewayUrl);
  if (!url) return 'closed';
  const plain = draft.body === undefined ? null : Buffer.from(JSON.stringify(draft.body));
  const sent = plain && random.next() < 0.15 ? distortBytes(plain, random) : { bytes: plain, headers: {} };
  const right = isDevice
    ? signRequest(caller.device.credentials, draft.method, url, sent.bytes, Math.floor(Date.now() / 1000))
        .headers
    : {
        authorization: `Bearer ${random.pick([caller.admin, caller.viewer, world.operator])}`,
        ...(plain && { 'content-type': 'application/json' }),
      };
  const headers = { ...right, ...sent.headers, ...(random.next() < 0.2 && distortHeaders(right, random)) };
  const answer = await fetch(url, {
    method: draft.method,
    headers: Object.entries(headers).filter((one): one is [string, string] => one[1] !== undefined),
    ...(sent.bytes && { body: new Uint8Array(sent.bytes) }),
    signal: AbortSignal.timeout(ANSWER_MS),
  }).catch((error: unknown) => error as Error);
  const shown = (plain ?? '').toString().slice(0, 2_000);
  const told = `request ${number}: ${draft.method} ${url.pathname}${url.search} ${shown}`;
  if (answer instanceof Error) {
    if (answer.name === 'TimeoutError') throw new HarmError(`${told}\nwas not answered`);
    return 'closed';
  }
  const text = await answer.text();
  const forbidden = isDevice ? caller.forbiddenToDevice : caller.forbiddenToAdmin;
  const fault = faultOf(answer, text, forbidden);
  if (fault !== null) throw new HarmError(`${told}\n${fault}: ${answer.status} ${text.slice(0, 2_000)}`);
  return { status: answer.status, ...(answer.status >= 400 && { code: codeOf(text) }) };
}

/** What is wrong with an answer; null: nothing. */
function faultOf(answer: Response, text: string, forbidden: readonly string[]): string | null {
  const { status, headers } = answer;
  const foreign = forbidden.find(
    (canary) => text.includes(canary) || JSON.stringify([...headers]).includes(canary),
  );
  if (foreign !== undefined) return `it shows what its caller may not see (${foreign})`;
  if (status >= 500 && status !== 503) return 'it failed';
  if ((status === 503 || status === 429) && !headers.has('retry-after'))
    return 'it does not say when to come back';
  if (status < 400) return null;
  if (headers.get('content-type')?.startsWith('application/problem+json') !== true)
    return 'it is no problem document';
  return Object.hasOwn(PROBLEM_CODES, codeOf(text)) ? null : 'its code is none of the protocol';
}

function codeOf(text: string): string {
  try {
    return String((JSON.parse(text) as { readonly code?: unknown }).code);
  } catch {
    return 'no JSON';
  }
}

/** A request for an operation: three of four have something wrong with them. */
function draftOf(operation: Operation, { known }: CanaryWorld, random: SeededRandom): Draft {
  const filled = operation.path.replace(/\{(\w+)\}/g, (_all, name: string) => {
    const schema = operation.params?.[name];
    const value = schema ? valueOf(schema, random, known) : random.pick(known);
    return encodeURIComponent(String(value).toWellFormed());
  });
  const query = operation.query && (valueOf(operation.query, random, known) as Record<string, unknown>);
  const texts = Object.entries(query ?? {}).map(([name, value]): [string, string] => [
    name,
    String(value).toWellFormed(),
  ]);
  const right = texts.length === 0 ? filled : `${filled}?${new URLSearchParams(texts).toString()}`;
  const path = random.next() < 0.15 ? distortPath(right, random, known) : right;
  const body = operation.body && patient(valueOf(operation.body, random, known));
  const changed = body !== undefined && random.next() < 0.6 ? distortValue(body, random, known) : body;
  return { method: operation.method.toUpperCase(), path, body: ownService(operation.path, patient(changed)) };
}

function patient(body: unknown): unknown {
  const { waitMs } = (body ?? {}) as { readonly waitMs?: unknown };
  return typeof waitMs === 'number' ? { ...(body as object), waitMs: Math.min(waitMs, MOST_WAIT_MS) } : body;
}

/** An operator may change every registration; the ones of the reference platform are needed by others. */
function ownService(path: string, body: unknown): unknown {
  if (!path.startsWith('/admin/v1/registrations') || typeof body !== 'object') return body;
  return { ...body, service: 'fuzzed' };
}

function urlOf(path: string, base: string): URL | null {
  try {
    return new URL(path, base);
  } catch {
    return null;
  }
}
