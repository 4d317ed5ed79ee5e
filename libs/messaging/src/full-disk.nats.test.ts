import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { NotStoringError, StoreProbe } from './store-probe.ts';
import { HopRig } from './testing/hop-rig.ts';
import { SmallDisk } from './testing/small-disk.ts';

/**
 * Whichever server is found. What `NATS_SERVER_BIN` names is tried in its place: 2.9.10, 2.10.27 and 2.15.1
 * were. With its disk full, 2.9 never answers JetStream again, 2.10 goes on once there is room, and 2.15
 * gives up the stream for good and takes others.
 */
let disk: SmallDisk;
let rig: HopRig;
beforeEach(async () => {
  // Three quarters of it is what the server lets streams reserve, and the rig's reserves 256 MB.
  disk = await SmallDisk.create(400);
  const natsOptions = { storeDir: disk.folder, through: disk.through };
  rig = await HopRig.open({ ownNats: true, natsOptions });
});
afterEach(async () => {
  await rig.close();
  await disk.remove();
});

async function refusal(probe: StoreProbe): Promise<unknown> {
  return probe.check().then(
    () => undefined,
    (error: unknown) => error,
  );
}

it('a full disk under NATS: JetStream is said not to store, and everything arrives once after a restart with the store kept', async () => {
  const relay = await rig.startRelay();
  await rig.startConsumer();
  const probe = new StoreProbe(await rig.connect('probe'), [relay]);
  await rig.write(50);
  await rig.untilEffects(50);
  await probe.check();
  await disk.fill();
  // Nobody knows how much the server still has room for: its files grow by blocks.
  let found: unknown;
  let written = 50;
  await rig.until('JetStream is said not to store', async () => {
    if (written < 5_000) await rig.write(50);
    written += written < 5_000 ? 50 : 0;
    found = await refusal(probe);
    return found !== undefined;
  });
  expect(found).toBeInstanceOf(NotStoringError);
  expect(String(found)).toContain('JetStream does not store');
  // What was asked before: a connection is had, and answers.
  await (await rig.connect('another')).flush();

  await disk.empty();
  await rig.nats.restart();
  await rig.untilEffects(written);
  expect(await rig.payloads()).toEqual(rig.expectedPayloads());
  await rig.until('JetStream stores again', async () => (await refusal(probe)) === undefined);
});
