/**
 * Whether an answer can be what it should be. A proxy or a broken server may send any JSON with status 200,
 * and what is stored once is read for ever. Written by hand: a validator with the whole schema is half as
 * large as the rest of this library, and unknown fields are no fault (COMMON-12).
 */
import type { Answer, Failure } from './transport.ts';

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string';
const isFlag: Check = (value) => typeof value === 'boolean';
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isObject: Check = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const maybe =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const objectWith = (fields: Readonly<Record<string, Check>>): Check => {
  const checks = Object.entries(fields);
  return (value) =>
    isObject(value) && checks.every(([name, check]) => check((value as Record<string, unknown>)[name]));
};

const isClock: Check = (value) => isObject(value) && Object.values(value as object).every(isCount);
const isDelta = objectWith({
  entityType: isText,
  entityId: isText,
  op: isText,
  clock: isClock,
  schemaVersion: isCount,
  data: (value) => value === null || isObject(value),
  update: maybe(isText),
});
const isOutcome = objectWith({
  mutationId: isText,
  status: (value) =>
    ['applied', 'merged', 'superseded', 'rejected', 'conflict', 'accepted'].includes(value as string),
  clock: maybe(isClock),
  current: maybe(isDelta),
});
const isPage = objectWith({
  scope: isText,
  reset: isFlag,
  deltas: listOf(isDelta),
  cursor: isText,
  hasMore: isFlag,
  digest: maybe(
    objectWith({ count: isCount, hash: (value) => isText(value) && /^[0-9a-f]{64}$/.test(value as string) }),
  ),
});

/** Of a kind that this version does not know nothing is asked: it is passed over (PULL-17). */
const isDirective: Check = (value) =>
  objectWith({ kind: isText })(value) &&
  ((value as { kind: string }).kind !== 'full_resync' || objectWith({ scopes: listOf(isText) })(value));

export const ANSWERS = {
  pull: objectWith({
    scopes: listOf(isPage),
    revoked: listOf(isText),
    outcomes: listOf(isOutcome),
    directives: listOf(isDirective),
    granted: maybe(listOf(isText)),
  }),
  push: objectWith({ outcomes: listOf(isOutcome) }),
  ack: objectWith({ cursors: listOf(objectWith({ scope: isText, status: isText })) }),
} satisfies Record<string, Check>;

/** The answer, or a failure where it is not what was asked for. */
export function checkAnswer<T>(what: keyof typeof ANSWERS, answer: Answer<T>): Answer<T> {
  if (!answer.ok || ANSWERS[what](answer.body)) return answer;
  const failure: Failure = {
    ok: false,
    kind: 'garbage',
    status: 200,
    problem: null,
    retryAfterMs: null,
    detail: `The answer is no answer of ${what}`,
  };
  return failure;
}
