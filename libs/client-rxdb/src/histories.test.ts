import { it } from '@jest/globals';
import fc from 'fast-check';
import { type Note, RxDevice, makeServer, until } from './testing/rx-device.ts';

const IDS = ['n1', 'n2', 'n3'];
const step = fc.record({
  device: fc.constantFrom(0, 1),
  id: fc.constantFrom(...IDS),
  act: fc.constantFrom('write', 'write', 'colour', 'delete', 'offline', 'online', 'lose', 'anew', 'restart'),
});
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

async function change({ notes }: RxDevice, { id, act }: Step, text: string): Promise<void> {
  const held = await notes.findOne(id).exec();
  if (act === 'write') await (held ? held.incrementalPatch({ text }) : notes.insert({ id, text }));
  else if (act === 'colour') await held?.incrementalPatch({ colour: text });
  else await held?.incrementalRemove();
}

it('converges two devices and the server, whatever happens to them', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      const server = makeServer();
      const devices = [await RxDevice.open(server, 'a'), await RxDevice.open(server, 'b')];
      for (const each of devices) each.start();
      for (const [at, one] of steps.entries()) {
        const device = devices[one.device];
        if (!device) continue;
        if (one.act === 'offline') device.link.offline();
        else if (one.act === 'online') device.link.online();
        else if (one.act === 'lose') device.link.loseAnswers(1);
        else if (one.act === 'anew') server.loseHistory();
        else if (one.act === 'restart') {
          await device.close();
          const again = await RxDevice.open(server, one.device ? 'b' : 'a', { database: device.db.name });
          again.start();
          devices[one.device] = again;
        } else await change(device, one, String(at));
      }
      for (const { link } of devices) link.online();
      const stands = (): Record<string, string> =>
        Object.fromEntries(
          IDS.flatMap((id) => {
            const { text, colour } = (server.entity('note', id)?.data ?? {}) as Partial<Note>;
            return text === undefined ? [] : [[id, colour ? `${text}, ${colour}` : text]];
          }),
        );
      await until(async () => {
        for (const each of devices) await each.inSync();
        const shown = await Promise.all(devices.map(async (each) => each.shown()));
        return shown.every((each) => JSON.stringify(each) === JSON.stringify(stands()));
      });
      for (const each of devices) await each.close();
    }),
    { numRuns: 25 },
  );
}, 120_000);
