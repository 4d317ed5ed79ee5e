import { mutationOf } from '../../tools/jest/mutation.mjs';

/** What is to happen in a lane, and what the answer of an owner means for it. */
export default mutationOf('apps/sync-gateway', ['src/push/decide/{classify-answer,earlier-changes,lane}.ts']);
