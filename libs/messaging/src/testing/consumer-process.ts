/**
 * A process that consumes and writes effects until it is killed: `node --conditions=source
 * consumer-process.ts JSON`. Tests kill and freeze it, which no code inside one process can imitate.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Database } from '@sync/postgres';
import type { StreamDeclaration } from '@sync/protocol';
import { connectNats } from '../connect-nats.ts';
import { PartitionedConsumer } from '../partitioned-consumer.ts';
import { recordEffects } from './record-effects.ts';

/** What the process is told. */
export interface ConsumerProcess {
  readonly databaseUrl: string;
  readonly natsUrl: string;
  readonly stream: StreamDeclaration;
  readonly worker: string;
  /** Time inside the transaction, so that a kill hits it there. */
  readonly handleMs: number;
}

const given = JSON.parse(process.argv[2] ?? '{}') as ConsumerProcess;
const log = (fields: object, message: string): void => {
  process.stdout.write(`${JSON.stringify({ message, fields: { ...fields, err: undefined } })}\n`);
};
const record = recordEffects(given.worker);
new PartitionedConsumer({
  database: await Database.connect({ url: given.databaseUrl, applicationName: given.worker }),
  nats: await connectNats({ url: given.natsUrl, name: given.worker }),
  stream: given.stream,
  consumer: 'test',
  logger: { debug: log, info: log, warn: log, error: log },
  handle: async (tx, batches) => {
    await record(tx, batches);
    await sleep(given.handleMs);
  },
  onPruned: () => Promise.reject(new Error('nothing is pruned in this test')),
}).start();
