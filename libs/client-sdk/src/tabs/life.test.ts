import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  ASK_EVERY_MS,
  LIFE,
  type LifeEffect,
  type LifeEvent,
  PATIENCE_MS,
  REFUSED_PAUSE_MS,
  type TabLife,
  join,
  stepLife,
} from './life.ts';

const EVENTS = Object.keys(LIFE.closed) as LifeEvent[];
type EffectKind = LifeEffect['kind'];

/** What becomes of each state with each event, and what is done: the table of the drawing. */
const TABLE: Record<TabLife['kind'], Partial<Record<LifeEvent, [TabLife['kind'], ...EffectKind[]]>>> = {
  following: {
    granted: ['taking_over', 'begin_term'],
    heard: ['following', 'wake'],
    woken: ['following', 'ask', 'wake'],
    close: ['closed', 'resign'],
  },
  taking_over: {
    term_begun: ['leading', 'run'],
    term_failed: ['deposed', 'resign', 'let_go', 'wake'],
    robbed: ['deposed', 'resign', 'wake'],
    close: ['closed', 'resign'],
  },
  leading: {
    robbed: ['deposed', 'resign', 'wake'],
    refused: ['deposed', 'resign', 'let_go', 'wake'],
    replaced: ['taking_over', 'resign', 'begin_term'],
    close: ['closed', 'resign'],
  },
  deposed: {
    woken: ['following', 'ask', 'wake', 'stand_in_line'],
    close: ['closed', 'resign'],
  },
  closed: {},
};

const STATES: readonly TabLife[] = [
  { kind: 'following', askedAtMs: null },
  { kind: 'taking_over' },
  { kind: 'leading' },
  { kind: 'deposed', untilMs: 0 },
  { kind: 'closed' },
];

describe.each(STATES)('$kind', (life) => {
  it.each(EVENTS)('and %s', (event) => {
    const { life: after, effects } = stepLife(life, event, 1_000_000);
    const expected = TABLE[life.kind][event] ?? [life.kind];
    expect([after.kind, ...effects.map(({ kind }) => kind)]).toEqual(expected);
  });
});

describe('a follower', () => {
  const asked = { kind: 'following', askedAtMs: 1_000 } as const;
  const kindsAt = (nowMs: number): EffectKind[] =>
    stepLife(asked, 'woken', nowMs).effects.map(({ kind }) => kind);

  it('takes the lead from one that does not answer', () => {
    expect(kindsAt(1_000 + PATIENCE_MS)).toEqual(['wake', 'steal']);
  });

  it('has patience, and only waits on where a timer comes early', () => {
    expect(kindsAt(999 + PATIENCE_MS)).toEqual(['wake']);
  });

  it.each([
    ['was frozen itself', 1_000 + PATIENCE_MS * 2],
    ['has had its clock set back', 0],
  ])('takes nothing where it %s, and asks again', (_why, nowMs) => {
    expect(kindsAt(nowMs)).toEqual(['ask', 'wake']);
  });

  it('asks again a while after it has heard', () => {
    const { effects } = stepLife(asked, 'heard', 2_000);
    expect(effects).toEqual([{ kind: 'wake', atMs: 2_000 + ASK_EVERY_MS }]);
  });
});

it('whatever happens, a life that is not closed has the lead, waits in line, or has a time to do so', () => {
  const history = fc.array(fc.tuple(fc.constantFrom(...EVENTS), fc.nat(REFUSED_PAUSE_MS)), { maxLength: 40 });
  fc.assert(
    fc.property(history, (events) => {
      let nowMs = 0;
      let { life, effects } = join(nowMs);
      let isInLine = true;
      let wakeAtMs = -1;
      for (const [event, pauseMs] of [...events, ['heard', 0] as const]) {
        for (const effect of effects) {
          if (effect.kind === 'wake') wakeAtMs = effect.atMs;
          if (effect.kind === 'stand_in_line' || effect.kind === 'steal') isInLine = true;
          if (effect.kind === 'let_go') isInLine = false;
        }
        if (life.kind === 'taking_over' || life.kind === 'leading') expect(isInLine).toBe(true);
        if (life.kind === 'following') expect([isInLine, wakeAtMs >= 0]).toEqual([true, true]);
        if (life.kind === 'deposed') expect(wakeAtMs).toBe(life.untilMs);
        nowMs += pauseMs;
        if (event === 'robbed') isInLine = false;
        // What the port and the store cannot say in that state.
        if (event === 'robbed' && life.kind === 'following') isInLine = true;
        ({ life, effects } = stepLife(life, event, nowMs));
      }
    }),
  );
});
