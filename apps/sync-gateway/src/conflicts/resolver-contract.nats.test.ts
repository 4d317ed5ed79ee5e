import { MatchersV3 } from '@pact-foundation/pact';
import type { NatsConnection } from '@nats-io/transport-node';
import { connectNats } from '@sync/messaging';
import { type RunningNats, startNats } from '@sync/messaging/testing';
import { MessageContract } from '@sync/messaging/testing/pact';
import { subjects } from '@sync/protocol';
import { AskApp } from '../admin/ask-app.ts';
import { AskConflicts } from './ask-conflicts.ts';
import { conflictIdOf } from '../push/decide/conflict-id.ts';

const { eachLike, integer, like, regex, timestamp } = MatchersV3;

describe('the gateway expects of the conflict-resolver', () => {
  let server: RunningNats;
  let nats: NatsConnection;
  let contract: MessageContract;

  beforeAll(async () => {
    server = await startNats({ own: true });
    nats = await connectNats({ url: server.url, name: 'contract' });
    contract = new MessageContract('sync-gateway', 'conflict-resolver');
  });
  afterAll(async () => {
    await nats.close();
    await server.stop();
  });

  const USER = { tenantId: 'pact', userId: 'pact-user' };
  const TIME = timestamp("yyyy-MM-dd'T'HH:mm:ss.SSSX", '2026-01-01T00:00:00.000Z');
  const HASH = regex('^[0-9a-f]{64}$', '0'.repeat(64));
  const CLOCK = { 's:learning': 2 };
  const OPEN = '00000000-0000-4000-8000-000000000031';
  const DECIDED = '00000000-0000-4000-8000-000000000032';
  const conflictId = conflictIdOf(OPEN);
  const held = (mutationId: string): string => `the user has an open conflict of mutation ${mutationId}`;
  const collision = (winner: string): object => ({
    field: 'text',
    ours: 'of the service',
    theirs: 'of the device',
    winner,
  });
  /** A record as a person is shown it; what it does not name may be anything. */
  const recordOf = (mutationId: string, changes: object): object => ({
    ...{ userId: 'pact-user', conflictId: conflictIdOf(mutationId), mutationId, policy: 'lww', op: 'patch' },
    ...{ deviceId: like('pact-device'), scope: 'user:pact-user', entityType: 'note', entityId: mutationId },
    ...{ base: { userId: 'pact-user' }, baseUnknown: ['text'], theirsUpdate: null },
    ...{ ours: { userId: 'pact-user', text: 'of the service' }, theirs: { text: 'of the device' } },
    clocks: { ours: CLOCK, theirs: like({ 's:learning': integer(1) }) },
    fields: [collision('open')],
    ...{ blocks: [], suggestions: [], detectedAt: TIME },
    history: eachLike({
      ...{ conflictId: conflictIdOf(mutationId), at: TIME, what: like('detected'), hash: HASH },
      who: like({ kind: 'person', userId: 'pact-user', deviceId: 'pact-device' }),
      ...{ facts: like({}), previous: regex('^([0-9a-f]{64})?$', '') },
    }),
    ...changes,
  });
  const open = recordOf(OPEN, { status: 'open', decision: null, decider: null, resolvedAt: null });
  const resolution = (mutationId: string, expectedClock: { 's:learning': number }) => ({
    ...{ ...USER, deviceId: 'pact-device', conflictId: conflictIdOf(mutationId), expectedClock },
    resolution: { kind: 'keep_server' as const },
    target: {
      ...{ service: 'learning', pushSubject: subjects.push('learning', 'note'), schemaVersion: 1 },
      ...{ policy: 'lww' as const, revision: 2, clock: CLOCK },
      data: { userId: 'pact-user', text: 'of the service' },
    },
  });
  const conflicts = (): AskConflicts => new AskConflicts(new AskApp(nats));

  it('a page of what is open, for its user', async () => {
    const request = { ...USER, entityType: 'note', entityId: OPEN, status: 'open' as const };
    const page = { ...request, cursor: null, limit: 10 };
    const summary = {
      ...{ conflictId, status: 'open', policy: 'lww', userId: 'pact-user', mutationId: OPEN },
      ...{ entityType: 'note', entityId: OPEN, scope: 'user:pact-user', deviceId: like('pact-device') },
      ...{ fields: ['text'], resolvedAt: null, resolution: null },
      detectedAt: TIME,
    };
    const asked = await contract.reply(
      {
        ...{ nats, subject: subjects.conflicts, what: 'a list of open conflicts', given: held(OPEN) },
        ...{ request: page, reply: { conflicts: [summary], next: null } },
      },
      () => conflicts().list(page),
    );
    expect(asked.conflicts).toMatchObject([{ conflictId, status: 'open' }]);
  });

  it('the record of a conflict, and nothing of another user’s', async () => {
    const request = { ...USER, conflictId };
    const asked = await contract.reply(
      {
        ...{ nats, subject: subjects.conflictShow, what: 'a look at an open conflict', given: held(OPEN) },
        ...{ request, reply: { conflict: open } },
      },
      () => conflicts().show(request),
    );
    expect(asked.conflict).toMatchObject({ status: 'open', mutationId: OPEN });
    const foreign = { ...request, userId: 'somebody-else' };
    const refused = contract.reply(
      {
        ...{ nats, subject: subjects.conflictShow, what: 'a look at another user’s', given: held(OPEN) },
        ...{ request: foreign, reply: { error: { code: 'not_found', message: like('No such conflict') } } },
      },
      () =>
        conflicts()
          .show(foreign)
          .catch((error: unknown) => error),
    );
    expect(await refused).toMatchObject({ code: 'not_found' });
  });

  it('the decided record, once a person has decided', async () => {
    const request = resolution(DECIDED, CLOCK);
    const conflict = recordOf(DECIDED, {
      ...{ status: 'resolved', decision: { kind: 'keep_server', clock: CLOCK }, resolvedAt: TIME },
      decider: { kind: 'person', userId: 'pact-user', deviceId: 'pact-device' },
      fields: [collision('ours')],
    });
    const asked = await contract.reply(
      {
        ...{ nats, subject: subjects.conflictResolve, what: 'the service’s value stays' },
        ...{ given: held(DECIDED), request, reply: { kind: 'resolved', conflict } },
      },
      () => conflicts().resolve(request),
    );
    expect(asked).toMatchObject({ kind: 'resolved', conflict: { status: 'resolved' } });
  });

  it('to hear that the entity has moved since it was looked at', async () => {
    const request = resolution(OPEN, { 's:learning': 1 });
    const asked = await contract.reply(
      {
        ...{ nats, subject: subjects.conflictResolve, what: 'a decision on an earlier state' },
        ...{ given: held(OPEN), request, reply: { kind: 'moved' } },
      },
      () => conflicts().resolve(request),
    );
    expect(asked).toEqual({ kind: 'moved' });
  });

  it('a page of the history that verifies', async () => {
    const request = { tenantId: 'pact', cursor: null, limit: 100 };
    const asked = await contract.reply(
      {
        ...{ nats, subject: subjects.conflictVerify, what: 'a walk through the history', given: held(OPEN) },
        request,
        reply: { checked: integer(1), records: integer(1), broken: null, hash: HASH, next: null },
      },
      () => conflicts().verify(request),
    );
    expect(asked.broken).toBeNull();
  });
});
