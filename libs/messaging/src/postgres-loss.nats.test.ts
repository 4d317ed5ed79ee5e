import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { HopRig } from './testing/hop-rig.ts';

let rig: HopRig;
beforeEach(async () => {
  rig = await HopRig.open({ ownPostgres: true });
  await rig.startRelay();
  await rig.startConsumer();
});
afterEach(() => rig.close());

async function readOutbox(): Promise<string[]> {
  const rows = await rig.producerDb.database.call<{ payload: string }>(
    'written',
    'SELECT payload FROM sync_outbox ORDER BY partition, number',
    [],
  );
  return rows.map(({ payload }) => payload);
}

it('Postgres killed under load: whole batches or none, everything arrives once', async () => {
  await rig.write(200);
  const writing = rig.write(300, 5).then(
    () => 'all committed',
    () => 'interrupted',
  );
  await rig.until('some arrived', async () => (await rig.effects()).length > 20);
  await rig.postgres.kill('SIGKILL');
  await writing;
  await rig.postgres.restart();
  await rig.until('all arrived', async () => {
    const written = await readOutbox().catch(() => undefined); // connections that died are noticed by using them
    return written !== undefined && (await rig.effects().catch(() => [])).length === written.length;
  });
  // A transaction whose commit got no answer may have been stored or not, so the outbox is the reference.
  const written = await readOutbox();
  const arrived = Object.values(await rig.payloads()).flat();
  expect(arrived).toEqual(written);
});
