/**
 * `node main.ts DEVICE STEP FOLDER ENTITIES [WRITES]`: one step of one device in a process of its own, which
 * no other has warmed up or filled. Prints what was measured as JSON, on the last line.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { pageTexts } from '@sync/client/testing/device-work';
import { NODE_DEVICES } from './node-devices.ts';
import { hold, timeColdStart, timeFirstSync, timeWrites } from './work.ts';

const [device = '', step = '', folder = '', entities = '', writes = ''] = process.argv.slice(2);
const pages = pageTexts(Number(entities));
const open = () => {
  const opening = NODE_DEVICES[device]?.(folder);
  if (!opening) throw new Error(`no device is called ${device}`);
  return opening;
};

const STEPS: Readonly<Record<string, () => Promise<unknown>>> = {
  sync: () => timeFirstSync(open, pages),
  start: () => timeColdStart(open, pages),
  write: async () => {
    const heapBefore = heapBytes();
    const held = await hold(open, pages);
    const heapHeld = heapBytes() - heapBefore;
    return { heapBytes: heapHeld, ...(await timeWrites(held, Number(writes))) };
  },
};

function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  return process.memoryUsage().heapUsed;
}

const measured = await STEPS[step]?.();
process.stdout.write(`\n${JSON.stringify(measured)}\n`);
process.exit(0);
