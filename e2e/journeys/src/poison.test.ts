import { randomUUID } from 'node:crypto';
import type { Write, WriteOptions } from '@sync/client';
import { type StackProcess, bindLearnerDevice, startStackProcess } from '@sync/e2e-device';
import { eventually } from './testing/eventually.ts';

/** A stack of its own: processes of it are stopped and killed. */
describe('a poison mutation', () => {
  let stack: StackProcess;
  beforeAll(async () => {
    stack = await startStackProcess();
  });
  afterAll(() => stack.stop());

  function signal(name: string, kind: NodeJS.Signals): void {
    const pid = stack.line.pids[name];
    if (!pid) throw new Error(`the stack has no ${name}`);
    process.kill(pid, kind);
  }

  it('fails its dependants when it is refused, though the gateway died while all of them waited', async () => {
    const [tenantId, userId] = [`t-${randomUUID().slice(0, 8)}`, `u-${randomUUID().slice(0, 8)}`];
    const device = await bindLearnerDevice(stack.line, tenantId, userId);
    const write = (text: unknown, options: WriteOptions = {}): Promise<Write> =>
      device.client.entity('note').put(`n-${randomUUID()}`, { userId, text }, options);
    await eventually('the device is live', () => device.client.status.state === 'live');
    signal('learning', 'SIGSTOP');
    const [poison, bystander] = [await write(7), await write('fine')];
    for (const one of [poison, bystander]) await one.wait('accepted');
    const dependant = await write('fine', { dependsOn: [poison] });
    const grandchild = await write('fine', { dependsOn: [dependant] });
    const all = [poison, bystander, dependant, grandchild];
    for (const one of all) await one.wait('accepted');
    expect(all.map(({ outcome }) => outcome?.status)).toEqual(all.map(() => 'accepted'));
    signal('gateway', 'SIGKILL');
    signal('learning', 'SIGCONT');
    const open = (): Write[] => all.filter(({ outcome }) => outcome?.status === 'accepted');
    await eventually('each has its end', () => open().length === 0);
    expect(all.map(({ outcome }) => outcome)).toMatchObject([
      { status: 'rejected', code: 'data_invalid' },
      { status: 'applied' },
      { status: 'rejected', code: 'dependency_failed' },
      { status: 'rejected', code: 'dependency_failed' },
    ]);
    await device.close();
  });
});
