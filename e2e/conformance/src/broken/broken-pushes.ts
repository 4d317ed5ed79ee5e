import { type Outcome, OUTCOME_CODES, type PushRequest, type PushResponse } from '@sync/protocol';
import type { BrokenServer } from './broken-server.ts';
import { PUSH, onOutcomes, onPulls, onPushes, without } from './change-answers.ts';
import { type Distortion, jsonOf, withJson } from './distorting-proxy.ts';

const IN_ORDER = 'push.test.ts › answers one outcome per mutation in the same order';
const RETRIED = 'push.test.ts › answers a retried push the same, however often it is sent, with one effect';
const REUSED =
  'push.test.ts › rejects a mutationId that comes again with another payload, and keeps the first';
const HELD =
  'push.test.ts › holds a same-field collision for a person ' + 'where the registration asks for review';
const LATER =
  'push.test.ts › gives the same field to the later time and keeps the loser in a ConflictRecord ' +
  'that the user pulls';

/** Says that what ended so stands. */
const taken =
  (isMeant: (outcome: Outcome) => boolean) =>
  (outcome: Outcome): Outcome =>
    isMeant(outcome) ? { mutationId: outcome.mutationId, status: 'applied' } : outcome;

/** Answers every push as the owning service would, and drops it. */
const drop: Distortion = async (asked, forward) => {
  const sent = asked.path === PUSH ? jsonOf<PushRequest>(asked) : null;
  if (sent === null) return forward();
  const outcomes = sent.mutations.map(({ mutationId }): Outcome => ({ mutationId, status: 'applied' }));
  const body: PushResponse = { serverTime: new Date().toISOString(), outcomes };
  return withJson({ status: 200, headers: {}, body: Buffer.of() }, body);
};

/** Knows a mutation that it has answered before, and answers it otherwise. */
function answerOtherwise(): Distortion {
  const seen = new Set<string>();
  return onOutcomes((outcome) => {
    const isKnown = seen.has(outcome.mutationId);
    seen.add(outcome.mutationId);
    return isKnown ? { ...outcome, status: 'superseded' } : outcome;
  });
}

/** Shows everybody what was pushed under an id, whoever asks. */
function showEverybody(): Distortion {
  const pushed = new Map<string, PushRequest['mutations'][number]>();
  return onPushes((body, sent) => {
    for (const mutation of sent.mutations) {
      if (!pushed.has(mutation.mutationId)) pushed.set(mutation.mutationId, mutation);
    }
    const outcomes = body.outcomes.map((outcome): Outcome => {
      const { data } = pushed.get(outcome.mutationId) ?? {};
      if (outcome.code !== 'mutation_id_reused' || !outcome.current) return outcome;
      return { ...outcome, current: { ...outcome.current, data: data ?? null } };
    });
    return { ...body, outcomes };
  });
}

/** Shows in a refusal what was written under that id before. */
function showTaken(): Distortion {
  const written = new Map<string, PushRequest['mutations'][number]>();
  const show = (outcome: Outcome): Outcome => {
    const { data = null } = written.get(outcome.current?.entityId ?? '') ?? {};
    if (outcome.code !== 'forbidden' || !outcome.current) return outcome;
    return { ...outcome, current: { ...outcome.current, data } };
  };
  const onLater = onPulls((body) => ({ ...body, outcomes: body.outcomes.map(show) }));
  const onFirst = onPushes((body, sent) => {
    for (const mutation of sent.mutations) {
      if (!written.has(mutation.entityId)) written.set(mutation.entityId, mutation);
    }
    return { ...body, outcomes: body.outcomes.map(show) };
  });
  return (asked, forward) => (asked.path === PUSH ? onFirst : onLater)(asked, forward);
}

const isRefusedByPlatform = ({ status, code = '' }: Outcome): boolean =>
  status === 'rejected' && code in OUTCOME_CODES;

export const BROKEN_PUSHES: readonly BrokenServer[] = [
  {
    fault: 'loses an outcome',
    rule: 'PUSH-1',
    check: IN_ORDER,
    breaks: () => onPushes((body) => ({ ...body, outcomes: body.outcomes.slice(0, -1) })),
  },
  {
    fault: 'answers outcomes in another order',
    rule: 'PUSH-1',
    check: IN_ORDER,
    breaks: () => onPushes((body) => ({ ...body, outcomes: [...body.outcomes].reverse() })),
  },
  {
    fault: 'answers a push before it is stored, and drops it',
    rule: 'PUSH-2',
    check: RETRIED,
    breaks: () => drop,
  },
  {
    fault: 'answers a repeated mutation with another outcome',
    rule: 'PUSH-2',
    check: RETRIED,
    breaks: answerOtherwise,
    isShort: true,
  },
  {
    fault: 'takes a used mutationId for another change',
    rule: 'PUSH-3',
    check: REUSED,
    breaks: () => onOutcomes(taken(({ code }) => code === 'mutation_id_reused')),
  },
  {
    fault: 'shows what another user wrote under a mutationId',
    rule: 'PUSH-3',
    check: 'same-change.test.ts › is nobody else’s: another user’s outcome is not told',
    breaks: showEverybody,
  },
  {
    fault: 'says that a mutation without a schema, type or scope was applied',
    rule: 'PUSH-5',
    check: 'bad-input.test.ts › lets a bad mutation harm none of its neighbours',
    breaks: () => onOutcomes(taken(isRefusedByPlatform)),
  },
  {
    fault: 'says no reason of a refusal',
    rule: 'PUSH-6',
    check:
      'bad-input.test.ts › lets the owner refuse data of another user or of a wrong shape, ' +
      'naming the field',
    breaks: () => onOutcomes((outcome) => without(outcome, 'message')),
  },
  {
    fault: 'leaves out what stands on the server (current)',
    rule: 'PUSH-7',
    check: 'push.test.ts › rejects %s',
    breaks: () => onOutcomes((outcome) => without(outcome, 'current')),
  },
  {
    fault: 'goes on behind a refused dependency',
    rule: 'PUSH-8',
    check: 'push.test.ts › keeps order along dependsOn and refuses what depends on a rejected mutation',
    breaks: () => onOutcomes(taken(({ code }) => code === 'dependency_failed')),
  },
  {
    fault: 'shows the entity of another user whose id is taken',
    rule: 'PUSH-15',
    check: 'push.test.ts › tells of an entity out of sight no more than that its id is taken',
    breaks: showTaken,
  },
  {
    fault: 'does not see that a device was restored from a backup',
    rule: 'PUSH-18',
    check: 'own-changes.test.ts › is known by a sequence that it uses again, also where it %s',
    breaks: () => onOutcomes(taken(({ status }) => status === 'merged')),
  },
  {
    fault: 'takes a mutation whose tag does not fit',
    rule: 'PUSH-22',
    check: 'tags.test.ts › %s is refused, and its neighbours are not',
    breaks: () => onOutcomes(taken(({ code }) => code === 'tag_invalid')),
  },
  {
    fault: 'names the scope that was asked for, whoever holds it',
    rule: 'PUSH-26',
    check: 'outcome-scopes.test.ts › name no scope that is not held, or that cannot be read',
    breaks: () =>
      onPushes((body, { mutations }) => {
        const outcomes = body.outcomes.map((outcome, place): Outcome => {
          return { ...outcome, scope: mutations[place]?.scope ?? '' };
        });
        return { ...body, outcomes };
      }),
  },
  {
    fault: 'takes a change of what is only appended',
    rule: 'POLICY-1',
    check: 'push.test.ts › rejects %s',
    breaks: () => onOutcomes(taken(({ code }) => code === 'append_only_violation')),
  },
  {
    fault: 'says that an edit stands which lost to a later one',
    rule: 'POLICY-3',
    check: LATER,
    breaks: () => onOutcomes(taken(({ status }) => status === 'superseded')),
  },
  {
    fault: 'changes the status of an outcome: a held collision is called merged',
    rule: 'POLICY-7',
    check: HELD,
    breaks: () =>
      onOutcomes((outcome) => (outcome.status === 'conflict' ? { ...outcome, status: 'merged' } : outcome)),
  },
  {
    fault: 'names no record of what was held for a person',
    rule: 'POLICY-7',
    check: HELD,
    breaks: () => onOutcomes((outcome) => without(outcome, 'conflictId')),
  },
  {
    fault: 'answers ids in upper case',
    rule: 'COMMON-18',
    check: 'push.test.ts › reads a mutationId in either case and answers it in lower case',
    breaks: () => onOutcomes((outcome) => ({ ...outcome, mutationId: outcome.mutationId.toUpperCase() })),
  },
];
