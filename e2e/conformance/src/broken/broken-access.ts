import type { PushResponse } from '@sync/protocol';
import type { BrokenServer } from './broken-server.ts';
import { PULL, insteadOfRefusal, onAnswers, onProblems, without } from './change-answers.ts';
import { type Answer, type Distortion, jsonOf, withJson } from './distorting-proxy.ts';

/** Changes the headers of every answer. */
function onHeaders(change: (headers: Answer['headers']) => Answer['headers']): Distortion {
  return async (_asked, forward) => {
    const answer = await forward();
    const headers = change(answer.headers);
    return Object.keys(headers).length === Object.keys(answer.headers).length
      ? answer
      : { ...answer, headers };
  };
}

const inflate: Distortion = async (_asked, forward) => {
  const answer = await forward();
  return answer.headers['content-encoding'] === undefined ? answer : withJson(answer, jsonOf(answer));
};

/** As a web server answers whose program has failed. */
const fail: Distortion = async (_asked, forward) => {
  const answer = await forward();
  if (answer.status < 400) return answer;
  const body = Buffer.from('<html><h1>Internal Server Error</h1></html>');
  return { status: 500, headers: { 'content-type': 'text/html' }, body };
};

export const BROKEN_ACCESS: readonly BrokenServer[] = [
  {
    fault: 'compresses nothing',
    rule: 'COMMON-3',
    check: 'pull.test.ts › compresses the answer when asked to',
    breaks: () => inflate,
  },
  {
    fault: 'says nothing of what is wrong in a request',
    rule: 'COMMON-6',
    check: 'bad-input.test.ts › names the offending path of %s %j',
    breaks: () => onProblems((problem) => without(problem, 'errors')),
  },
  {
    fault: 'answers a fault without a problem document',
    rule: 'COMMON-8',
    check:
      'access.test.ts › answers errors as problem+json with type, title, status, detail, ' +
      'code and retryable',
    breaks: () => fail,
  },
  {
    fault: 'drops Retry-After',
    rule: 'COMMON-10',
    check: 'pull.test.ts › refuses more waiting pulls of a device than sixteen, and says when to come back',
    breaks: () => onHeaders((headers) => without(headers, 'retry-after')),
  },
  {
    fault: 'loses serverTime',
    rule: 'COMMON-11',
    check: 'access.test.ts › says on every response what time it is',
    breaks: () => onAnswers<PushResponse, unknown>(PULL, (body) => without(body, 'serverTime')),
  },
  {
    fault: 'loses Date',
    rule: 'COMMON-11',
    check: 'access.test.ts › says on every response what time it is',
    breaks: () => onHeaders((headers) => without(headers, 'date')),
  },
  {
    fault: 'takes an op that it does not know',
    rule: 'COMMON-13',
    check: 'bad-input.test.ts › refuses an unknown enum value with its path and stores nothing',
    breaks: () => insteadOfRefusal('schema_invalid'),
  },
  {
    fault: 'takes a time that there is not',
    rule: 'COMMON-16',
    check: 'bad-input.test.ts › reads no time of %s',
    breaks: () => insteadOfRefusal('schema_invalid'),
  },
  {
    fault: 'takes a scope that is named twice',
    rule: 'COMMON-17',
    check: 'pull.test.ts › refuses a scope that is named twice, with its path',
    breaks: () => insteadOfRefusal('schema_invalid'),
  },
  {
    fault: 'takes a request without a token, or with one of nobody',
    rule: 'ACCESS-1',
    check: 'access.test.ts › refuses %s',
    breaks: () => insteadOfRefusal('unauthenticated'),
  },
  {
    fault: 'takes a body that was not signed',
    rule: 'ACCESS-4',
    check: 'access.test.ts › refuses a body that is not the one that was signed',
    breaks: () => insteadOfRefusal('signature_invalid'),
  },
  {
    fault: 'does not say what time it is to a device whose clock is wrong',
    rule: 'ACCESS-6',
    check:
      'access.test.ts › answers clock_skew with serverTime for a clock that is %i s off, ' +
      'and a corrected one succeeds',
    breaks: () => onProblems((problem) => without(problem, 'serverTime')),
  },
  {
    fault: 'takes the device of another user',
    rule: 'ACCESS-8',
    check: 'access.test.ts › refuses a device that is not bound to the token’s user',
    breaks: () => insteadOfRefusal('device_not_bound'),
  },
  {
    fault: 'forgets a revocation',
    rule: 'ACCESS-9',
    check: 'access.test.ts › refuses a revoked device within one second, for ever',
    breaks: () => insteadOfRefusal('device_revoked'),
    isShort: true,
  },
  {
    fault: 'takes any cursor',
    rule: 'PULL-5',
    check: 'pull.test.ts › refuses a %s cursor with its path',
    breaks: () => insteadOfRefusal('cursor_invalid'),
  },
  {
    fault: 'takes the cursor of another device in an ack',
    rule: 'ACK-2',
    check: 'ack.test.ts › refuses a foreign cursor with its path',
    breaks: () => insteadOfRefusal('cursor_invalid'),
  },
];
