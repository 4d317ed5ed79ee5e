/** `@sync/client/for-tests`: what a stand-in for a server needs. */
export { HandClock } from './clock/hand-clock.ts';
export { judgeAnswer } from './net/judge-answer.ts';
export type { ReceivedAnswer } from './net/read-answer.ts';
