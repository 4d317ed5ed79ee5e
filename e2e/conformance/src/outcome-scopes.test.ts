import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import type { DriverDevice } from '@sync/e2e-device';
import type { Outcome, PullResponse } from '@sync/protocol';
import { type SharedDocument, edit, enroll, sharedDocument } from './kit/course-document.ts';
import { appendStatements, boundUser, fresh, send, sendAsItIs } from './kit/platform.ts';

type Named = Pick<Outcome, 'status' | 'scope'>;

const named = (outcomes: readonly Outcome[]): Named[] =>
  outcomes.map(({ status, scope }) => ({ status, ...(scope === undefined ? {} : { scope }) }));

/** What a pull tells of outcomes, and nothing is acked. */
async function pulled(device: DriverDevice): Promise<PullResponse> {
  return device.call<PullResponse>('/sync/v1/pull', {});
}

/** Takes the course from its learner, or gives it back, and waits until a pull says so. */
async function setEnrolment(shared: SharedDocument, status: 'active' | 'withdrawn'): Promise<void> {
  await enroll(shared, shared.course.slice('course:'.length), status);
  for (let attempt = 0; attempt < 300; attempt += 1) {
    const { scopes } = await pulled(shared.device);
    if (scopes.some(({ scope }) => scope === shared.course) === (status === 'active')) return;
    await sleep(100);
  }
  throw new Error(`the course never became ${status}`);
}

/** The scopes that its outcomes name, when a device pushes its outbox (again), and in a pull. */
async function setOf(device: DriverDevice): Promise<(string | undefined)[]> {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    const pushed = await sendAsItIs(device, ...device.outbox);
    const { outcomes } = await pulled(device);
    if (pushed.every(({ status }) => status !== 'accepted') && outcomes.length === pushed.length)
      return [...new Set([...pushed, ...outcomes].map(({ scope }) => scope))];
    await sleep(100);
  }
  throw new Error('what was pushed never had all its outcomes');
}

describe('outcomes', () => {
  it('name the scope of their mutation, in pushes and in pulls', async () => {
    const { device, scope } = await boundUser();
    appendStatements(device, scope, 2);
    const mutations = [...device.outbox];
    const wanted = mutations.map(() => ({ status: 'applied', scope }));
    expect(named(await sendAsItIs(device, ...mutations))).toEqual(wanted);
    expect(named(await sendAsItIs(device, ...mutations))).toEqual(wanted);
    expect(named((await pulled(device)).outcomes)).toEqual(wanted);
  });

  it('name no scope that is not held, or that cannot be read', async () => {
    const { device, scope } = await boundUser();
    const note = { entityType: 'note', entityId: fresh('n'), op: 'append', data: {} } as const;
    const [held, foreign, unreadable] = [
      device.write({ ...note, scope }),
      device.write({ ...note, scope: `course:${fresh('c')}` }),
      { ...device.write({ ...note, scope }), scope: 'nothing' },
    ];
    const status = 'rejected';
    const wanted = [{ status, scope }, { status }, { status }];
    const outcomes = await send(device, held, foreign, unreadable);
    expect(named(outcomes)).toEqual(wanted);
    const again = new Map((await pulled(device)).outcomes.map((outcome) => [outcome.mutationId, outcome]));
    expect(named(outcomes.flatMap(({ mutationId }) => again.get(mutationId) ?? []))).toEqual(wanted);
  });

  it('name a course only while its user holds it', async () => {
    const shared = await sharedDocument('5 mg daily\n');
    const { device, other, course } = shared;
    for (const one of [device, other]) edit(one, shared, (text) => text.insert(0, 'x'));
    const document = { scope: course, entityType: 'document', entityId: shared.entityId } as const;
    other.write({ ...document, op: 'append', data: {} });
    // Of one all stand; what the other one has shows its entity as well.
    for (const one of [device, other]) expect(await setOf(one)).toEqual([course]);
    await setEnrolment(shared, 'withdrawn');
    for (const one of [device, other]) expect(await setOf(one)).toEqual([undefined]);
    await setEnrolment(shared, 'active');
    for (const one of [device, other]) expect(await setOf(one)).toEqual([course]);
  });
});
