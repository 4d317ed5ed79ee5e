import { ResolutionRig } from '../testing/resolution-rig.ts';

let rig: ResolutionRig;

beforeAll(async () => {
  rig = await ResolutionRig.start();
});
afterAll(() => rig.stop());

it('a resolution notes no clock that only the device claims, where nobody owns the entity any more', async () => {
  const request = await rig.request(await rig.held(), { kind: 'keep_server' });
  const claimed = { ...request, target: null, expectedClock: { 's:learning': 99 } };
  const reply = await rig.resolver().execute(claimed);
  expect(reply).toMatchObject({ kind: 'resolved' });
  expect('conflict' in reply && reply.conflict.decision).toEqual({ kind: 'keep_server' });
});
