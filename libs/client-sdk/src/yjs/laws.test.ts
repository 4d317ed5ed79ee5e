/** The laws of documents over random histories of several devices, with a crash at any commit. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SCOPE } from '../local/testing/crashing-device.ts';
import { ModelServer } from '../local/testing/model-server.ts';
import { TypingDevice, quiet } from './testing/typing-device.ts';

const device = fc.nat(2);
const crash = fc.option(
  fc.record({
    commit: fc.integer({ min: 1, max: 2 }),
    when: fc.constantFrom('before' as const, 'after' as const),
  }),
  { freq: 3 },
);
const limit = fc.integer({ min: 1, max: 4 });
const calm = [
  { weight: 4, arbitrary: fc.record({ do: fc.constant('type' as const), device, at: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('erase' as const), device, at: fc.nat(20) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('flush' as const), device, crash }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('push' as const),
      ...{ device, crash, isLost: fc.boolean() },
      as: fc.constantFrom('applied' as const, 'merged' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pull' as const), device, limit, crash }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('ack' as const), device, crash }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), device }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom('lose_history' as const, 'want_resync' as const) }),
  },
] as const;
const rough = [
  { weight: 2, arbitrary: fc.record({ do: fc.constant('refuse' as const), device }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('new_epoch' as const, 'delete' as const) }) },
] as const;
const calmStep = fc.oneof(...calm);
const anyStep = fc.oneof(...calm, ...rough);
type Step = typeof anyStep extends fc.Arbitrary<infer T> ? T : never;

/** Devices of one user with one document. */
class Desk {
  readonly server = new ModelServer(SCOPE);
  readonly devices = ['one', 'two', 'three'].map((id) => new TypingDevice(this.server, id));
  readonly erased = new Set<number>();
  #typed = 0;
  #epoch = 1;

  async start(): Promise<void> {
    this.server.changeItself('a', { epoch: this.#epoch });
    for (const each of this.devices) await each.start();
    for (const each of this.devices) await each.device.pull(10);
    await quiet();
  }

  async perform(step: Step): Promise<void> {
    const one = 'device' in step ? this.devices[step.device] : undefined;
    if (one) await this.#performOn(one, step);
    else this.#performOnServer(step);
    await quiet();
  }

  #performOnServer({ do: what }: Step): void {
    if (what === 'lose_history') this.server.loseHistory();
    if (what === 'want_resync') this.server.wantResync();
    if (what === 'delete') this.server.changeItself('a', null);
    this.#epoch += what === 'delete' || what === 'new_epoch' ? 1 : 0;
    if (what === 'new_epoch') this.server.changeItself('a', { epoch: this.#epoch });
  }

  async #performOn(one: TypingDevice, step: Step): Promise<void> {
    switch (step.do) {
      case 'type':
        this.#typed += 1;
        one.type(step.at, this.#typed);
        return;
      case 'erase':
        this.erased.add(one.erase(step.at) ?? 0);
        return;
      case 'flush':
        return one.survive(() => one.flush(), step.crash);
      case 'push':
        return one.survive(() => one.device.push(() => step.as, step.isLost), step.crash);
      case 'refuse':
        return one.device.push(() => 'rejected');
      case 'pull':
        return one.survive(() => one.device.pull(step.limit), step.crash);
      case 'ack':
        return one.survive(() => one.device.ack(), step.crash);
      case 'restart':
        return one.start();
      case 'lose_history':
      case 'want_resync':
      case 'new_epoch':
      case 'delete':
        return;
    }
  }

  /** Everything goes well from now on. */
  async settle(): Promise<void> {
    for (let round = 0; round < 3; round += 1) {
      for (const each of this.devices) {
        await each.flush();
        await each.device.settle();
        await quiet();
      }
    }
  }

  get numbers(): number[] {
    return this.server.documentOf('a')?.getArray<number>('body').toArray() ?? [];
  }
}

describe('after any history of three devices', () => {
  it('no stored increment is missing, on its device at any time and everywhere at last', async () => {
    let crashes = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(calmStep, { maxLength: 40 }), async (history) => {
        const desk = new Desk();
        await desk.start();
        const missing = (from: TypingDevice, numbers: readonly number[]): number[] =>
          [...from.stored].filter((number) => !numbers.includes(number) && !desk.erased.has(number));
        for (const step of history) {
          await desk.perform(step);
          for (const each of desk.devices) expect(missing(each, each.numbers)).toEqual([]);
        }
        await desk.settle();
        for (const each of desk.devices) {
          expect(missing(each, desk.numbers)).toEqual([]);
          expect(each.numbers).toEqual(desk.numbers);
          expect(each.open.status).toEqual({ state: 'open', isPending: false, problem: null });
          crashes += each.device.crashes;
        }
        expect([...desk.server.changed]).toEqual([]);
      }),
      { numRuns: 300 },
    );
    expect(crashes).toBeGreaterThan(20);
  });

  it('all show what the server has, whatever was refused, replaced or deleted', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { maxLength: 40 }), async (history) => {
        const desk = new Desk();
        await desk.start();
        for (const step of history) await desk.perform(step);
        await desk.settle();
        const isThere = desk.server.documentOf('a') !== undefined;
        for (const each of desk.devices) {
          const { state, isPending, problem } = each.open.status;
          expect([state, isPending, problem]).toEqual([isThere ? 'open' : 'absent', false, null]);
          if (isThere) expect(each.numbers).toEqual(desk.numbers);
          await each.start();
          if (isThere) expect(each.numbers).toEqual(desk.numbers);
        }
      }),
      { numRuns: 100 },
    );
  });
});
