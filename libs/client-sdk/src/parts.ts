/** `@sync/client/parts`: pure parts, for adapters of databases that keep a queue of their own. */
export { checkAnswer } from './net/check-answers.ts';
export { type Draft, type DraftFault, type Numbers, faultOf, makeMutation } from './outbox/make-mutation.ts';
export { hasAll } from './replica/clocks.ts';
