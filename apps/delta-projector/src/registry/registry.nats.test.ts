import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { subjects } from '@sync/protocol';
import { REGISTRATIONS } from '../testing/domain-events.ts';
import { RunningProjector } from '../testing/running-projector.ts';

let running: RunningProjector;
beforeEach(async () => {
  running = await RunningProjector.open();
});
afterEach(() => running.close());

const [progress, enrollment] = REGISTRATIONS as [(typeof REGISTRATIONS)[0], (typeof REGISTRATIONS)[0]];

describe('the registry', () => {
  it('learns of types at the notice that something changed', async () => {
    running.registrations = [progress];
    running.answerList();
    const { registry } = (await running.startWorker()).projector;
    await running.until('one type', () => registry.all().length === 1);
    running.registrations = [{ ...progress, policy: 'server_authoritative' }, enrollment];
    running.connection.publish(subjects.registryChanged);
    await running.until('two types', () => registry.all().length === 2);
    expect(registry.get('progress')?.rule.policy).toBe('server_authoritative');
  });

  it('does not forget types because a list lacks them', async () => {
    running.registrations = [progress];
    running.answerList();
    const { registry } = (await running.startWorker()).projector;
    await running.until('one type', () => registry.all().length === 1);
    running.registrations = [];
    await registry.refresh();
    expect(registry.get('progress')).toBeDefined();
  });

  it('reads a list that comes in several messages', async () => {
    const listed = [enrollment, progress];
    const pages: unknown[] = [];
    const subscription = running.connection.subscribe(subjects.registryList, {
      callback: (_error, message) => {
        const { after } = message.json<{ after?: string }>();
        pages.push(after);
        const place = after === undefined ? 0 : 1;
        const { service, ...type } = listed[place] ?? enrollment;
        const next = place === 0 ? type.entityType : null;
        message.respond(JSON.stringify({ registrations: [{ service, entityTypes: [type] }], next }));
      },
    });
    await running.connection.flush();
    const { registry } = (await running.startWorker()).projector;
    await running.until('both types', () => registry.all().length === 2);
    expect(pages.slice(0, 2)).toEqual([undefined, enrollment.entityType]);
    subscription.unsubscribe();
  });

  it('goes on when the list cannot be read', async () => {
    const subscription = running.connection.subscribe(subjects.registryList, {
      callback: (_error, message) => void message.respond('{"registrations":[{"service":"X"}]}'),
    });
    const { registry } = (await running.startWorker()).projector;
    await registry.refresh();
    expect(registry.all()).toEqual([]);
    subscription.unsubscribe();
    running.answerList();
    await running.connection.flush();
    await registry.lookFor(new Set(['progress']));
    expect(registry.get('progress')).toBeDefined();
  });
});
