import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { DiscardPolicy } from '@nats-io/jetstream';
import { PROBE_STREAM } from '@sync/protocol';
import { StoreProbe } from './store-probe.ts';
import { HopRig } from './testing/hop-rig.ts';

let rig: HopRig;
beforeEach(async () => {
  rig = await HopRig.open({ ownNats: true });
});
afterEach(() => rig.close());

it('stores one message however often it is asked, and makes the stream for it', async () => {
  const { streams } = await rig.jetstreamManager();
  const probe = new StoreProbe(await rig.connectApp('probe'), []);
  await streams.delete(PROBE_STREAM.name);
  await Promise.all(Array.from({ length: 20 }, () => probe.check()));
  await probe.check();
  const { state, config } = await streams.info(PROBE_STREAM.name);
  expect([state.messages, config.max_bytes]).toEqual([1, 65_536]);
});

it('names the stream that is not stored, though JetStream stores others', async () => {
  const relay = await rig.startRelay();
  const probe = new StoreProbe(await rig.connect('probe'), [relay]);
  const { streams } = await rig.jetstreamManager();
  await streams.update(rig.stream.name, { max_bytes: 1, discard: DiscardPolicy.New });
  await rig.write(10);
  const refused = (): Promise<string> =>
    probe.check().then(
      () => '',
      (error: unknown) => String(error),
    );
  await rig.until('it says so', async () => (await refused()) !== '');
  expect(await refused()).toMatch(new RegExp(`does not store ${rig.stream.name}: .*maximum bytes`));
  await streams.update(rig.stream.name, { max_bytes: rig.stream.maxBytes, discard: DiscardPolicy.Old });
  await rig.until('the rows are stored', async () => (await refused()) === '');
});
