import { mutationOf } from '../../tools/jest/mutation.mjs';

/** What an owner does with a batch, and what it answers. */
export default mutationOf('libs/owner-sdk', [
  'src/push/{decide-push,event-of-change,known-answer,refuse-data,sent-record}.ts',
]);
