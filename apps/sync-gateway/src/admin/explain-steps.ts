import type { AdminExplainResponse, ExplainReply, ExplainStep, RegisteredEntityType } from '@sync/protocol';
import type { OpenFacts, ScopeFacts } from './explain-store.ts';

/** Everything that is known of one entity and one device. */
export interface ExplainFacts {
  readonly deviceId: string;
  readonly userId: string | null;
  readonly revokedAt: string | null;
  readonly entityType: string;
  readonly entityId: string;
  readonly registration: RegisteredEntityType | null;
  /** null: the projector does not answer. */
  readonly projector: ExplainReply | null;
  readonly scopes: readonly ScopeFacts[];
  readonly open: readonly OpenFacts[];
}

export type Explanation = Pick<AdminExplainResponse, 'has' | 'summary' | 'steps'>;

/**
 * Follows an entity on its way from its owner to the device and says at each station whether it gets through:
 * registration → projection → scope → grant → cursor; and what the device itself still has under way.
 */
export function explainSteps(facts: ExplainFacts): Explanation {
  const steps = [
    deviceStep(facts),
    registrationStep(facts),
    projectionStep(facts),
    scopeStep(facts),
    grantStep(facts),
    cursorStep(facts),
    mutationStep(facts),
  ];
  const stop = steps.find(({ ok }) => !ok);
  const has = hasEntity(facts);
  const entity = `${facts.entityType}/${facts.entityId}`;
  const summary =
    has === true && !stop
      ? `The device has ${entity} as it is now.`
      : `${has === true ? 'The device has' : has === false ? 'The device does not have' : 'Nobody can tell whether the device has'} ${entity}: ${stop?.detail ?? 'see the steps'}`;
  return { has, summary, steps };
}

/** Whether the device has acked a delta that shows the entity as the projector knows it. */
function hasEntity({ projector, scopes, userId }: ExplainFacts): boolean | null {
  if (userId === null) return false;
  if (!projector) return scopes.some(hasCopy) ? null : false;
  const revision = projector.entity?.deleted === false ? projector.entity.revision : null;
  if (revision === null) return false;
  return scopes.some((facts) => hasCopy(facts) && (facts.delta?.revision ?? -1) >= revision);
}

/** The device has acked the entity's last delta in a scope that still shows it. */
function hasCopy({ held, delta, head, cursor }: ScopeFacts): boolean {
  if (!held || !delta || delta.deleted || !cursor?.acked || cursor.resync !== null) return false;
  return cursor.epoch === head?.epoch && BigInt(cursor.sequence) >= BigInt(delta.sequence);
}

function deviceStep({ deviceId, userId, revokedAt }: ExplainFacts): ExplainStep {
  const facts = { deviceId, userId, revokedAt };
  if (revokedAt !== null) {
    return {
      step: 'device',
      ok: false,
      detail: `the device was revoked at ${revokedAt} and may not sync`,
      facts,
    };
  }
  return userId === null
    ? {
        step: 'device',
        ok: false,
        detail: 'no sync of this device has ever been served in this tenant',
        facts,
      }
    : { step: 'device', ok: true, detail: `the device belongs to user ${userId}`, facts };
}

function registrationStep({ registration, entityType }: ExplainFacts): ExplainStep {
  if (!registration) {
    return { step: 'registration', ok: false, detail: `no service registered "${entityType}"`, facts: {} };
  }
  const { service, policy, schemaVersion } = registration;
  const detail = `${entityType} is registered by ${service} with policy ${policy}`;
  return { step: 'registration', ok: true, detail, facts: { service, policy, schemaVersion } };
}

function projectionStep({ projector }: ExplainFacts): ExplainStep {
  const step = 'projection' as const;
  if (!projector) {
    return {
      step,
      ok: false,
      detail: 'the delta-projector does not answer; what follows is what the gateway knows',
      facts: {},
    };
  }
  const { entity, deadLetter } = projector;
  if (deadLetter?.status === 'quarantined') {
    const { deadLetterId, code, cause } = deadLetter;
    const detail = `an event of the entity could not be projected (${code}): replay dead letter ${deadLetterId}`;
    return { step, ok: false, detail, facts: { deadLetterId, code, cause } };
  }
  if (!entity) {
    return {
      step,
      ok: false,
      detail: 'the projector has never seen the entity: its owner published no event of it',
      facts: {},
    };
  }
  const { revision, clock, deleted, projectedAt } = entity;
  const facts = { revision, clock, deleted, projectedAt };
  return deleted
    ? { step, ok: false, detail: `its owner deleted the entity (revision ${revision})`, facts }
    : { step, ok: true, detail: `projected at revision ${revision}`, facts };
}

function scopeStep({ projector, scopes }: ExplainFacts): ExplainStep {
  const names = projector?.entity?.scopes.map(({ scope }) => scope) ?? live(scopes).map(({ scope }) => scope);
  const facts = { scopes: names };
  return names.length === 0
    ? { step: 'scope', ok: false, detail: 'no scope has the entity', facts }
    : { step: 'scope', ok: true, detail: `in ${names.join(', ')}`, facts };
}

function grantStep(facts: ExplainFacts): ExplainStep {
  const shown = showing(facts);
  const held = shown.filter((scope) => scope.held).map(({ scope }) => scope);
  const step = { step: 'grant' as const, facts: { held } };
  if (held.length > 0) return { ...step, ok: true, detail: `the user holds ${held.join(', ')}` };
  const names = shown.map(({ scope }) => scope).join(', ');
  const detail = names === '' ? 'there is nothing to hold' : `the user does not hold ${names}`;
  return { ...step, ok: false, detail };
}

function cursorStep(facts: ExplainFacts): ExplainStep {
  const held = showing(facts).filter((scope) => scope.held);
  const step = { step: 'cursor' as const, facts: { scopes: held } };
  const [first] = held;
  if (!first) return { ...step, ok: false, detail: 'there is no scope to pull it from' };
  const revision = facts.projector?.entity?.revision;
  const current = held.filter(({ delta }) => delta && (revision === undefined || delta.revision >= revision));
  if (current.length === 0) {
    return { ...step, ok: false, detail: 'its last delta is on its way from the projector to the gateway' };
  }
  if (current.some(hasCopy)) return { ...step, ok: true, detail: 'the device has acked its last delta' };
  return { ...step, ok: false, detail: whyNotAcked(current[0] ?? first) };
}

function whyNotAcked({ scope, delta, head, cursor }: ScopeFacts): string {
  if (!cursor) return `the device has never pulled ${scope}`;
  if (cursor.resync !== null) return `the device has to pull ${scope} from the beginning (${cursor.resync})`;
  if (!cursor.acked) return `the device has been served ${scope} and has not acked it yet`;
  if (cursor.epoch !== head?.epoch)
    return `${scope} started anew (epoch ${head?.epoch ?? '?'}) and the device has not pulled it since`;
  return `the device has acked ${scope} up to ${cursor.sequence}; the entity's last delta is ${delta?.sequence ?? '?'}`;
}

function mutationStep({ open }: ExplainFacts): ExplainStep {
  const step = { step: 'mutation' as const, facts: { open } };
  if (open.length === 0)
    return { ...step, ok: true, detail: 'no mutation of the device for it waits for its outcome' };
  const reason = open[0]?.waitsFor ?? 'it is being handled';
  return {
    ...step,
    ok: false,
    detail: `${open.length} mutations of the device for it have no outcome yet (${reason})`,
  };
}

function live(scopes: readonly ScopeFacts[]): ScopeFacts[] {
  return scopes.filter(({ delta }) => delta?.deleted === false);
}

/**
 * The scopes that show the entity now: the projector's word, or the read model's while the projector is away.
 */
function showing({ projector, scopes }: ExplainFacts): ScopeFacts[] {
  if (!projector) return live(scopes);
  const names = new Set(projector.entity?.scopes.map(({ scope }) => scope));
  return scopes.filter(({ scope }) => names.has(scope));
}
