import { randomUUID } from 'node:crypto';
import type { DriverDevice } from '@sync/e2e-device';
import type { LocalMutation, Outcome, RemoteDelta } from '@sync/protocol';
import { anotherDevice, boundUser, entityOf, pullUntil, statement } from './kit/platform.ts';

describe('append_only', () => {
  /** Appends from a device that has nothing but the record: a rebuilt outbox, after a reinstall too. */
  const appendFrom = async (
    device: DriverDevice,
    scope: string,
    data: Record<string, unknown>,
    entityId: string,
  ): Promise<Outcome | undefined> => {
    device.write({ scope, entityType: 'statement', entityId, op: 'append', data });
    return (await device.push()).at(-1);
  };

  it('knows a record again that comes under a fresh mutationId, though its service has stamped it', async () => {
    const user = await boundUser();
    const entityId = randomUUID();
    const { timestamp: _stamped, ...data } = statement(entityId);
    const first = await appendFrom(user.device, user.scope, data, entityId);
    const second = await appendFrom(await anotherDevice(user), user.scope, data, entityId);
    expect([first, second]).toMatchObject([
      { status: 'applied' },
      { status: 'applied', clock: first?.clock },
    ]);
    const other = await appendFrom(await anotherDevice(user), user.scope, statement(entityId, 7), entityId);
    expect(other).toMatchObject({ status: 'rejected', current: { op: 'put' } });
    expect(other).toHaveProperty('conflictId');
  });

  it('merges a record that its service stores otherwise than it was sent, and shows what stands', async () => {
    const user = await boundUser();
    const entityId = randomUUID();
    const data: Record<string, unknown> = {
      ...statement(entityId),
      actor: { mbox: 'mailto:eve@example.org' },
    };
    const first = await appendFrom(user.device, user.scope, data, entityId);
    const second = await appendFrom(await anotherDevice(user), user.scope, data, entityId);
    const stands = { actor: { account: { name: user.userId } }, verb: data['verb'] };
    expect([first, second]).toMatchObject([
      { status: 'merged', current: { data: stands } },
      { status: 'merged', current: { data: stands } },
    ]);
  });

  it('voids a statement by another one (xAPI), and both stay', async () => {
    const user = await boundUser();
    const { device, scope } = user;
    const [voidedId, voidingId] = [randomUUID(), randomUUID()];
    const voiding = {
      id: voidingId,
      verb: { id: 'http://adlnet.gov/expapi/verbs/voided', display: { 'en-US': 'voided' } },
      object: { objectType: 'StatementRef', id: voidedId },
      timestamp: '2026-01-02T00:00:00.000Z',
    };
    const append = (entityId: string, data: Record<string, unknown>, dependsOn?: string[]): LocalMutation =>
      device.write({
        scope,
        entityType: 'statement',
        entityId,
        op: 'append',
        data,
        ...(dependsOn ? { dependsOn } : {}),
      });
    const first = append(voidedId, statement(voidedId));
    append(voidingId, voiding, [first.mutationId]);
    expect(await device.push()).toMatchObject([{ status: 'applied' }, { status: 'applied' }]);
    const held = (id: string): RemoteDelta | undefined => entityOf(device, scope, 'statement', id);
    await pullUntil(device, () => held(voidedId) !== undefined && held(voidingId) !== undefined);
    expect(held(voidedId)?.data).toMatchObject({ verb: statement(voidedId)['verb'] });
    expect(held(voidingId)?.data).toMatchObject({ verb: voiding.verb, object: voiding.object });
  });
});
