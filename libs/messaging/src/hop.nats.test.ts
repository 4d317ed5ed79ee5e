import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { HopRig } from './testing/hop-rig.ts';

let rig: HopRig;
beforeEach(async () => {
  rig = await HopRig.open();
});
afterEach(() => rig.close());

describe('from outbox to inbox', () => {
  it('brings every committed message over once and in order', async () => {
    const relay = await rig.startRelay();
    await rig.startConsumer();
    await rig.write(500);
    relay.kick();
    await rig.untilEffects(500);
    expect(await rig.payloads()).toEqual(rig.expectedPayloads());
  });
});
