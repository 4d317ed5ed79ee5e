import type { Outcome, Problem, PullRequest, PullResponse, PushRequest, PushResponse } from '@sync/protocol';
import { type Answer, type Asked, type Distortion, jsonOf, withJson } from './distorting-proxy.ts';

export const PULL = '/sync/v1/pull';
export const PUSH = '/sync/v1/push';
export const ACK = '/sync/v1/ack';

export type Page = PullResponse['scopes'][number];

/** Changes good answers of one path. Where nothing is changed, the server’s answer goes on as it is. */
export function onAnswers<Body, Sent>(
  path: string,
  change: (body: Body, sent: Sent, asked: Asked) => Body,
): Distortion {
  return async (asked, forward) => {
    const answer = await forward();
    if (asked.path !== path || answer.status !== 200) return answer;
    const [body, sent] = [jsonOf<Body>(answer), jsonOf<Sent>(asked)];
    if (body === null || sent === null) return answer;
    const before = JSON.stringify(body);
    const changed = change(body, sent, asked);
    return JSON.stringify(changed) === before ? answer : withJson(answer, changed);
  };
}

export const onPulls = (
  change: (body: PullResponse, sent: PullRequest, asked: Asked) => PullResponse,
): Distortion => onAnswers(PULL, change);

/** Changes each page of a pull. */
export const onPages = (change: (page: Page, sent: PullRequest) => Page): Distortion =>
  onPulls((body, sent) => ({ ...body, scopes: body.scopes.map((page) => change(page, sent)) }));

export const onPushes = (change: (body: PushResponse, sent: PushRequest) => PushResponse): Distortion =>
  onAnswers(PUSH, change);

/** Changes each outcome that a push is answered with. */
export const onOutcomes = (change: (outcome: Outcome) => Outcome): Distortion =>
  onPushes((body) => ({ ...body, outcomes: body.outcomes.map(change) }));

/** Without one of its fields. */
export function without<T extends object>(value: T, name: keyof T & string): T {
  return Object.fromEntries(Object.entries(value).filter(([key]) => key !== name)) as T;
}

/** Changes problem documents, of all paths. */
export function onProblems(change: (problem: Problem) => unknown): Distortion {
  return async (_asked, forward) => {
    const answer = await forward();
    const problem = answer.status >= 400 ? jsonOf<Problem>(answer) : null;
    if (problem === null) return answer;
    const before = JSON.stringify(problem);
    const changed = change(problem);
    return JSON.stringify(changed) === before ? answer : withJson(answer, changed);
  };
}

/** An answer that says nothing, to whatever was asked. */
export function nothingNew(): Answer {
  const lists = { scopes: [], revoked: [], outcomes: [], directives: [], cursors: [] };
  const headers = { date: new Date().toUTCString() };
  const body = { serverTime: new Date().toISOString(), ...lists };
  return withJson({ status: 200, headers, body: Buffer.of() }, body);
}

/** Answers as if all were well where the server refuses with one of these codes. */
export function insteadOfRefusal(...codes: readonly Problem['code'][]): Distortion {
  return async (_asked, forward) => {
    const answer = await forward();
    const problem = answer.status >= 400 ? jsonOf<Problem>(answer) : null;
    return problem !== null && codes.includes(problem.code) ? nothingNew() : answer;
  };
}
