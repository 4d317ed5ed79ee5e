import { mutationOf } from '../../tools/jest/mutation.mjs';

/** What goes together and in which order; nothing that asks a server. */
export default mutationOf('libs/messaging', [
  'src/{consumer-lane,event-messages,first-that-fit,grouped-calls,pacing,partition}.ts',
]);
