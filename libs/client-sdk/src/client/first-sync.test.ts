import { afterEach, expect, it } from '@jest/globals';
import { makeDevice, pass, quiet } from './testing/make-device.ts';

afterEach(quiet);

it('tells page by page how far a first sync has come', async () => {
  const { client, clock, transport } = await makeDevice();
  for (let n = 0; n < 2_200; n += 1) transport.server.changeItself(`note-${n}`, { value: n });
  const told = new Map<number, string | null>();
  client.onStatus(({ scopes: [scope] }) => {
    if (scope) told.set(scope.entities, scope.lastSyncedAt);
  });
  client.start();
  await pass(clock, 1_000);
  expect([...told]).toEqual([
    [1_000, null],
    [2_000, null],
    [2_200, expect.any(String)],
  ]);
});
