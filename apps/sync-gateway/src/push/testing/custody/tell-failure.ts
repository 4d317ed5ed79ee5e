import { checkCustody, type Violation } from './check-custody.ts';
import {
  draftOf,
  type EntityHistory,
  type History,
  type PlayedRound,
  revisionsOf,
  tellValue,
  type Written,
} from './history.ts';

const MAX_VIOLATIONS = 5;

/**
 * What a failing run has to say: its seed, what it broke, and of the first the steps that led there: the
 * rounds until its mutation was last sent to the owner, as far as they touch its entity, and the entity's
 * revisions until then.
 *
 * @returns nothing when every promise was kept
 */
export function tellFailure(seed: number, history: History): string {
  const violations = checkCustody(history);
  const [first] = violations;
  if (!first) return '';
  const label = first.entityId.split('-')[0] ?? '';
  const entity = history.entities.find(({ entityId }) => entityId === first.entityId);
  return [
    `seed ${seed}: npm run custody -- --runs 1 --seed ${seed}`,
    ...violations
      .slice(0, MAX_VIOLATIONS)
      .map(({ text, entityId }) => `  ${entityId.split('-')[0] ?? ''}: ${text}`),
    ...(violations.length > MAX_VIOLATIONS ? [`  and ${violations.length - MAX_VIOLATIONS} more`] : []),
    `rounds of ${label} (sends name@expectedRevision):`,
    ...roundsUntil(history, first).map(
      (round, place) => `  ${place + 1} ${tellRound(history, first, round)}`,
    ),
    `revisions of ${label}:`,
    ...(entity ? tellRevisions(history, entity, first) : []),
  ].join('\n');
}

/** All of them when the mutation never came to its owner. */
function roundsUntil({ rounds }: History, { mutationId }: Violation): readonly PlayedRound[] {
  const last = rounds.findLastIndex(({ asked }) => asked.flat().some((one) => one.mutationId === mutationId));
  return last < 0 ? rounds : rounds.slice(0, last + 1);
}

function tellRound({ written }: History, { entityId }: Violation, played: PlayedRound): string {
  const { round, change, pushed, asked } = played;
  const here = new Map([...written].filter(([, { mutation }]) => mutation.entityId === entityId));
  const names = new Set([...here.values()].map(({ name }) => name));
  const pushes = pushed.map(({ device, open, repeated }, place) => {
    const { copies = 1, dispatched = false } = round.devices[place] ?? {};
    const own = open.filter((name) => names.has(name)).join(' ');
    const ended = repeated > 0 ? ` and ${repeated} that ended` : '';
    const push = `${device} pushes ${own || 'nothing open'}${ended}${copies > 1 ? ` x${copies}` : ''}`;
    return dispatched ? `${push}, is dispatched` : push;
  });
  const sends = asked.flatMap((request) => {
    const own = request.flatMap(({ mutationId, expectedRevision }) => {
      const name = here.get(mutationId)?.name;
      return name ? [`${name}@${expectedRevision}`] : [];
    });
    return own.length > 0 ? [`gateway sends ${own.join(' ')}`] : [];
  });
  return [
    `owner ${round.owner}${round.projectsAtOnce ? '' : ', read model late'}`,
    ...(change?.entityId === entityId ? [`server writes ${change.name}`] : []),
    ...pushes,
    ...sends,
    ...(round.projectsAfterwards ? ['read model catches up'] : []),
  ].join('; ');
}

/** Until the mutation's own, or all; and the mutation itself if it made none. */
function tellRevisions(history: History, entity: EntityHistory, { mutationId }: Violation): string[] {
  const revisions = revisionsOf(history, entity);
  const last = revisions.findIndex(({ written }) => written?.mutation.mutationId === mutationId);
  const blamed = mutationId === null || last >= 0 ? undefined : history.written.get(mutationId);
  return [
    ...revisions.slice(0, last < 0 ? undefined : last + 1).map(({ change, written }, place) => {
      return `  ${place + 1} ${change ? `${change.name} in ${change.field}` : tellMutation(history, written)}`;
    }),
    ...(blamed ? [`  - ${tellMutation(history, blamed)}`] : []),
  ];
}

function tellMutation(history: History, { name, mutation }: Written): string {
  const { mutationId, data } = mutation;
  const status = history.outcomes.get(mutationId)?.status ?? 'open';
  const fields = draftOf(history, mutationId)?.fields.map(({ field, ours, winner }) => {
    return `, recorded ${field}: ours ${tellValue(ours)}, ${winner} won`;
  });
  return `${name} in ${Object.keys(data ?? {}).join()}: ${status}${fields?.join('') ?? ''}`;
}
