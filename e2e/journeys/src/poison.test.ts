import { randomUUID } from 'node:crypto';
import {
  DriverDevice,
  type LocalChange,
  type StackProcess,
  bindDevice,
  startStackProcess,
} from '@sync/e2e-device';
import type { LocalMutation, Outcome } from '@sync/protocol';

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

  /** Syncs until the mutations are terminal; a gateway that is just starting again answers nothing. */
  async function outcomesOf(
    device: DriverDevice,
    mutations: readonly LocalMutation[],
  ): Promise<(Outcome | undefined)[]> {
    const known = (): (Outcome | undefined)[] =>
      mutations.map(({ mutationId }) => device.outcomes.get(mutationId));
    const open = (): boolean => known().some((outcome) => !outcome || outcome.status === 'accepted');
    for (let attempt = 0; attempt < 300 && open(); attempt += 1) {
      await device.sync().catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return known();
  }

  it('fails its dependants when it is refused, though the gateway died while all of them waited', async () => {
    const [tenantId, userId] = [`t-${randomUUID().slice(0, 8)}`, `u-${randomUUID().slice(0, 8)}`];
    const device = new DriverDevice(stack.line.gateway, await bindDevice(stack.line, tenantId, userId));
    const write = (change: Partial<LocalChange> = {}): LocalMutation =>
      device.write({
        scope: `user:${userId}`,
        entityType: 'note',
        entityId: `n-${randomUUID()}`,
        op: 'put',
        data: { userId, text: 'fine' },
        ...change,
      });
    await device.sync();
    signal('learning', 'SIGSTOP');
    const poison = write({ data: { userId, text: 7 } });
    const bystander = write();
    expect((await device.push()).map(({ status }) => status)).toEqual(['accepted', 'accepted']);
    const dependant = write({ dependsOn: [poison.mutationId] });
    const grandchild = write({ dependsOn: [dependant.mutationId] });
    expect((await device.push()).map(({ status }) => status)).toEqual(['accepted', 'accepted']);
    signal('gateway', 'SIGKILL');
    signal('learning', 'SIGCONT');
    expect(await outcomesOf(device, [poison, bystander, dependant, grandchild])).toMatchObject([
      { status: 'rejected', code: 'data_invalid' },
      { status: 'applied' },
      { status: 'rejected', code: 'dependency_failed' },
      { status: 'rejected', code: 'dependency_failed' },
    ]);
  });
});
