import { randomUUID } from 'node:crypto';
import { bindDevice, DriverDevice, type StackLine } from '@sync/e2e-device';
import { type PythonOwner, startPythonOwner } from '@sync/e2e-owner-conformance';
import { eventually } from './testing/eventually.ts';

const MINUTE_MS = 60_000;

/** What of an entity is written, and two values for it. */
const TYPES = [
  {
    ...{ by: 'the SDK', entityType: 'progress', field: 'percent', one: 10, other: 20 },
    data: { courseId: 'c', percent: 0, status: 'in_progress' },
  },
  {
    ...{ by: 'plain Python', entityType: 'task', field: 'title', one: 'early', other: 'late' },
    data: { title: 'first', note: 'again' },
  },
] as const;

describe.each(TYPES)(
  'last-write-wins of an owning service on $by',
  ({ entityType, field, one, other, data }) => {
    const urls = JSON.parse(process.env['STACK_JSON'] ?? '{}') as StackLine;
    const tenantId = `t-${randomUUID().slice(0, 8)}`;
    let owner: PythonOwner | null = null;
    let scope: string;
    let entityId: string;
    let phone: DriverDevice;
    let tablet: DriverDevice;
    let laptop: DriverDevice;

    beforeAll(async () => {
      if (entityType !== 'task') return;
      owner = await startPythonOwner(urls.nats);
      await owner.ready();
      // A snapshot says nothing of devices: one that overtakes an event would take its place.
      await eventually('the first snapshot was read', async () => {
        const metrics = await fetch(`${urls.opsUrls['projector'] ?? ''}/metrics`);
        return (await metrics.text()).includes('sync_backfill_entities_total{entity_type="task"');
      });
    });
    afterAll(() => owner?.stop());

    /** Three devices of a user, and an entity that they all hold. */
    beforeEach(async () => {
      const userId = `u-${randomUUID().slice(0, 8)}`;
      [scope, entityId] = [`user:${userId}`, randomUUID()];
      const bind = async (): Promise<DriverDevice> =>
        new DriverDevice(urls.gateway, await bindDevice(urls, tenantId, userId));
      [phone, tablet, laptop] = [await bind(), await bind(), await bind()];
      phone.write({
        scope,
        entityType,
        entityId,
        op: 'put',
        data: { userId, ...data },
        agoMs: 60 * MINUTE_MS,
      });
      expect(await pushed(phone)).toBe('applied');
      for (const device of [phone, tablet, laptop]) {
        await eventually('it holds the entity', async () => {
          await device.sync();
          return held(device) !== undefined;
        });
      }
    });

    const held = (device: DriverDevice) => device.replica(scope).entities.get(`${entityType}/${entityId}`);
    const write = (device: DriverDevice, value: string | number, minutesAgo: number): void => {
      const change = { scope, entityType, entityId, op: 'patch', data: { [field]: value } } as const;
      device.write({ ...change, agoMs: minutesAgo * MINUTE_MS });
    };

    /** The status of the one change that waits, once it has one. */
    async function pushed(device: DriverDevice): Promise<string | undefined> {
      const [mutationId = ''] = device.outbox.map((mutation) => mutation.mutationId);
      await device.push();
      const status = () => device.outcomes.get(mutationId)?.status;
      await eventually('it has its outcome', async () => {
        if (status() === 'accepted') await device.pullOnce();
        return status() !== 'accepted';
      });
      return status();
    }

    /** What everybody sees once the change of this device has come through. */
    async function seenWith(device: DriverDevice, count: number): Promise<unknown> {
      const replica = `d:${device.credentials.deviceId}`;
      await eventually('the change shows, under its device’s own counter', async () => {
        await laptop.sync();
        return held(laptop)?.clock[replica] === count;
      });
      return held(laptop)?.data?.[field];
    }

    it('goes by when people wrote, and not by when it arrived', async () => {
      write(tablet, one, 40);
      write(phone, other, 20);
      expect(await pushed(tablet)).toBe('applied');
      expect(await pushed(phone)).toBe('merged');
      expect(await seenWith(phone, 2)).toBe(other);
    });

    it('counts a write that repeats what is there', async () => {
      write(phone, one, 50);
      write(tablet, one, 30);
      write(laptop, other, 40);
      expect(await pushed(phone)).toBe('applied');
      await pushed(tablet);
      expect(await seenWith(tablet, 1)).toBe(one);
      expect(await pushed(laptop)).toBe('superseded');
      await laptop.sync();
      expect(held(laptop)?.data?.[field]).toBe(one);
    });
  },
);
