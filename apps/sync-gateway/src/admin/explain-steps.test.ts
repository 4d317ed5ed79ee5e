import { describe, expect, it } from '@jest/globals';
import type { RegisteredEntityType } from '@sync/protocol';
import { type ExplainFacts, explainSteps } from './explain-steps.ts';

const registration: RegisteredEntityType = {
  service: 'learning',
  entityType: 'note',
  schemaVersion: 1,
  policy: 'lww',
  projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}'] },
};
const scope = {
  scope: 'user:u1',
  held: true,
  delta: { sequence: '5', revision: 3, deleted: false },
  head: { epoch: 'e1', sequence: '9' },
  cursor: { epoch: 'e1', sequence: '9', acked: true, resync: null },
};
const entity = {
  revision: 3,
  clock: { 'd:d1': 1 },
  deleted: false,
  schemaVersion: 1,
  projectedAt: '2026-01-01T00:00:00.000Z',
  scopes: [{ scope: 'user:u1', epoch: 'e1', sequence: null, headSequence: '9' }],
  grants: [],
};
/** Everything got through. */
const arrived: ExplainFacts = {
  deviceId: 'd1',
  userId: 'u1',
  revokedAt: null,
  entityType: 'note',
  entityId: 'n1',
  registration,
  projector: { entity, deadLetter: null },
  scopes: [scope],
  open: [],
};
const deadLetter = {
  deadLetterId: 'x1',
  status: 'quarantined' as const,
  producer: 'learning',
  eventId: null,
  entityType: 'note',
  entityId: 'n1',
  revision: 4,
  code: 'scope_unrenderable',
  cause: 'no userId',
  attempts: 1,
  firstFailedAt: '2026-01-01T00:00:00.000Z',
  lastFailedAt: '2026-01-01T00:00:00.000Z',
};

describe('explainSteps', () => {
  it('says that the device has the entity when every step is passed', () => {
    const { has, summary, steps } = explainSteps(arrived);
    expect([has, summary]).toEqual([true, 'The device has note/n1 as it is now.']);
    expect(steps.map(({ step, ok }) => [step, ok])).toEqual([
      ['device', true],
      ['registration', true],
      ['projection', true],
      ['scope', true],
      ['grant', true],
      ['cursor', true],
      ['mutation', true],
    ]);
  });

  it.each<[string, Partial<ExplainFacts>, boolean | null, string, RegExp]>([
    [
      'the device is revoked',
      { revokedAt: '2026-02-01T00:00:00.000Z' },
      true,
      'device',
      /revoked at 2026-02-01/,
    ],
    ['the device is unknown', { userId: null, scopes: [] }, false, 'device', /no sync of this device/],
    [
      'nobody registered the type',
      { registration: null },
      true,
      'registration',
      /no service registered "note"/,
    ],
    [
      'an event is quarantined',
      { projector: { entity, deadLetter } },
      true,
      'projection',
      /replay dead letter x1/,
    ],
    [
      'its owner never published it',
      { projector: { entity: null, deadLetter: null }, scopes: [] },
      false,
      'projection',
      /never seen/,
    ],
    [
      'it was deleted',
      { projector: { entity: { ...entity, deleted: true, scopes: [] }, deadLetter: null } },
      false,
      'projection',
      /deleted the entity/,
    ],
    [
      'no scope has it',
      { projector: { entity: { ...entity, scopes: [] }, deadLetter: null } },
      true,
      'scope',
      /no scope/,
    ],
    [
      'the scope is not held',
      { scopes: [{ ...scope, held: false }] },
      false,
      'grant',
      /does not hold user:u1/,
    ],
    [
      'the delta is on its way',
      { scopes: [{ ...scope, delta: { ...scope.delta, revision: 2 } }] },
      false,
      'cursor',
      /on its way/,
    ],
    [
      'the scope was never pulled',
      { scopes: [{ ...scope, cursor: null }] },
      false,
      'cursor',
      /never pulled user:u1/,
    ],
    [
      'nothing is acked',
      { scopes: [{ ...scope, cursor: { ...scope.cursor, acked: false } }] },
      false,
      'cursor',
      /not acked it yet/,
    ],
    [
      'a resync is due',
      { scopes: [{ ...scope, cursor: { ...scope.cursor, resync: 'digest_mismatch' } }] },
      false,
      'cursor',
      /digest_mismatch/,
    ],
    [
      'the epoch is old',
      { scopes: [{ ...scope, cursor: { ...scope.cursor, epoch: 'e0' } }] },
      false,
      'cursor',
      /epoch e1/,
    ],
    [
      'the cursor is behind',
      { scopes: [{ ...scope, cursor: { ...scope.cursor, sequence: '4' } }] },
      false,
      'cursor',
      /up to 4; .* is 5/,
    ],
    [
      'a mutation waits',
      { open: [{ mutationId: 'm1', status: 'accepted', attempts: 2, waitsFor: 'owner_unavailable' }] },
      true,
      'mutation',
      /owner_unavailable/,
    ],
    ['the projector is away', { projector: null }, null, 'projection', /does not answer/],
  ])('names the station where it stops: %s', (_name, changes, has, stop, detail) => {
    const explained = explainSteps({ ...arrived, ...changes });
    const first = explained.steps.find(({ ok }) => !ok);
    expect([explained.has, first?.step]).toEqual([has, stop]);
    expect(first?.detail).toMatch(detail);
    expect(explained.summary).toMatch(detail);
  });
});
