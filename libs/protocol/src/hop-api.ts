/**
 * What a producer and its consumers tell each other about the numbers of a stream (docs/ARCHITECTURE.md, “The
 * hop”). Internal.
 */
import Type from 'typebox';
import { Count } from './scalars.ts';

const Epoch = Type.String({ maxLength: 64, description: 'Changes when the producer’s database is rebuilt.' });
const Stream = Type.String({ maxLength: 64 });

/** Once a second, so that a lost tail is noticed without new traffic. */
export const RelayHead = Type.Object(
  { epoch: Epoch, number: Count },
  { $id: 'RelayHead', description: 'The last number that the relay gave in this partition.' },
);

export const ReplayRequest = Type.Object(
  { stream: Stream, partition: Count, epoch: Epoch, after: Count },
  { $id: 'ReplayRequest', description: 'Asks for what follows number `after`.' },
);

export const ReplayPageHead = Type.Object(
  {
    epoch: Epoch,
    first: Type.Integer({
      minimum: 1,
      description: 'The oldest number still kept; `last + 1` when none is.',
    }),
    last: Count,
    pruned: Type.Boolean({ description: 'Messages after `after` are past retention: rebuild.' }),
    messages: Type.Array(Type.Object({ number: Type.Integer({ minimum: 1 }), bytes: Count })),
  },
  {
    $id: 'ReplayPageHead',
    description:
      'One line of JSON; the payloads follow it after the line feed, back to back, each as long as `bytes` ' +
      'says. They are not escaped again: a page of 512 KiB would otherwise be parsed twice.',
  },
);
