import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectNats } from '@sync/messaging';
import { startNats } from '@sync/messaging/testing';
import { isUnavailable } from '@sync/postgres';
import { createTestDatabase, startPostgres } from '@sync/postgres/testing';
import type { Outcome } from '@sync/protocol';
import { Metrics } from '@sync/service-kit';
import { MIGRATIONS, FUNCTIONS } from '../../database/schema.ts';
import { DeviceBindings } from '../../access/device-bindings.ts';
import { VerifyTags } from '../prepare/verify-tags.ts';
import { AcceptPush } from '../accept-push.ts';
import { AskDeleted } from '../decide/ask-deleted.ts';
import { DecideLanes } from '../decide/decide-lanes.ts';
import { ReadHeads } from '../../read-model/read-heads.ts';
import { AskUpcaster } from '../owners/ask-upcaster.ts';
import { LiftMutations } from '../owners/lift-mutations.ts';
import { SendToOwner } from '../owners/send-to-owner.ts';
import { PushMetrics } from '../push-metrics.ts';
import { SettleMutations } from '../settle-mutations.ts';
import { mutationOf, newAuthor, silent, TYPES } from '../testing/push-rig.ts';
import { TestOwner } from '../testing/test-owner.ts';
import { KeepDecisions } from './keep-decisions.ts';
import { LedgerStore } from './ledger-store.ts';

let stop: () => Promise<void>;
let acceptPush: AcceptPush;
let owner: TestOwner;
let postgres: Awaited<ReturnType<typeof startPostgres>>;

beforeAll(async () => {
  postgres = await startPostgres({ own: true });
  const migrations = { migrations: MIGRATIONS, functions: FUNCTIONS };
  const test = await createTestDatabase({ postgres, name: 'outage', ...migrations });
  const server = await startNats({ own: true });
  const nats = await connectNats({ url: server.url, name: 'outage', logger: silent });
  owner = new TestOwner(nats, test.database, TYPES);
  owner.projectsAtOnce = false;
  owner.start();
  const metrics = new PushMetrics(new Metrics('test'));
  const heads = new ReadHeads(test.database);
  const settler = new SettleMutations(
    new SendToOwner(nats, silent, metrics, 3_000),
    new DecideLanes(heads, new AskDeleted(nats, silent)),
    heads,
    new LiftMutations(new AskUpcaster(nats, silent)),
    new KeepDecisions(test.database),
    metrics,
  );
  const types = {
    find: (name: string) => TYPES.find((type) => type.entityType === name) ?? null,
    refresh: async () => undefined,
  };
  const ledger = new LedgerStore(test.database, { visibleMs: 1_000, maxOpen: 100 });
  const bindings = new DeviceBindings({ nats, database: test.database, graceMs: 0 });
  const admission = { types, tags: new VerifyTags(bindings), noteRefused: () => undefined };
  acceptPush = new AcceptPush(ledger, settler, heads, admission, metrics, () => undefined);
  stop = async () => {
    await nats.close();
    await server.stop();
    await test.database.close();
    await postgres.stop();
  };
});
afterAll(() => stop());

it('fails while Postgres is away, and nothing is answered that is not there afterwards', async () => {
  const author = newAuthor();
  const push = async (mutation: object): Promise<Outcome | undefined> => {
    const body = { sentAt: new Date().toISOString(), mutations: [mutation as { mutationId: string }] };
    const [text] = await acceptPush.execute(author, body, Date.now(), false);
    return text === undefined ? undefined : (JSON.parse(text) as Outcome);
  };
  const before = mutationOf(author);
  const answered = await push(before);
  expect(answered?.status).toBe('applied');

  await postgres.kill('SIGKILL');
  const during = mutationOf(author);
  const error: unknown = await push(during).catch((reason: unknown) => reason);
  expect(isUnavailable(error)).toBe(true);
  await postgres.restart();

  let retried: Outcome | undefined;
  for (let attempt = 0; attempt < 50 && !retried; attempt += 1) {
    retried = await push(during).catch(() => undefined);
    if (!retried) await sleep(100);
  }
  expect(retried?.status).toBe('applied');
  expect(await push(before)).toEqual(answered);
  expect(owner.applied).toEqual([before.mutationId, during.mutationId]);
});
