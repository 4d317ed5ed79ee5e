import { mutationOf } from '../../tools/jest/mutation.mjs';

const DECIDE = 'apps/sync-gateway/src/push/decide';

/** What is to happen in a lane, and what the answer of an owner means for it. */
export default mutationOf('apps/sync-gateway', {
  jest: { configFile: 'apps/sync-gateway/jest.pure.config.mjs' },
  mutate: ['classify-answer', 'own-entry', 'earlier-changes', 'lane'].map((name) => `${DECIDE}/${name}.ts`),
});
