/**
 * The life of a tab, as plain data: what happens to it, and what it wants done. The shell is `client/tab.ts`.
 *
 * ```
 *               granted               term begun
 *  following ------------> taking_over ----------> leading
 *   |   ^                   |   ^                   |  |
 *   |   |           robbed, |   |  the store was    |  |
 *   |   |  no term begun    |   |  made anew        |  |
 *   |   |                   |   +-------------------+  |
 *   |   |                   v                          |
 *   |   +--time is up-- deposed <----robbed, refused---+
 *   |                       |                          |
 *   +-----------------------+-------- close -----------+--> closed
 * ```
 *
 * | state         |                                                                            |
 * | ------------- | -------------------------------------------------------------------------- |
 * | `following`   | stands in line for the lead, and asks now and then whether somebody has it |
 * | `taking_over` | has the lead, begins a term, and reads what others have stored             |
 * | `leading`     | talks to the server                                                        |
 * | `deposed`     | another one leads; stands in line again after a pause                      |
 * | `closed`      | for good                                                                   |
 *
 * A leader that is closed or killed loses its lock, and the next in line has it. One that is frozen keeps it,
 * and answers nothing: whoever asks in vain for {@link PATIENCE_MS} takes the lead from it.
 */
export type TabLife =
  /** Since when a question waits for its answer. */
  | { readonly kind: 'following'; readonly askedAtMs: number | null }
  | { readonly kind: 'taking_over' }
  | { readonly kind: 'leading' }
  | { readonly kind: 'deposed'; readonly untilMs: number }
  | { readonly kind: 'closed' };
type LifeKind = TabLife['kind'];

export type LifeEvent =
  | 'granted'
  | 'robbed'
  /** A leader has told how it stands. */
  | 'heard'
  | 'term_begun'
  /** The store could not be read or written. */
  | 'term_failed'
  /** The store has the term of another one. */
  | 'refused'
  /** The store is not the one that was read. */
  | 'replaced'
  /** The time of a `wake` has come. */
  | 'woken'
  | 'close';

export type LifeEffect =
  | { readonly kind: 'stand_in_line' }
  | { readonly kind: 'steal' }
  | { readonly kind: 'let_go' }
  /** Asks who leads. */
  | { readonly kind: 'ask' }
  | { readonly kind: 'begin_term' }
  /** Begins to talk to the server. */
  | { readonly kind: 'run' }
  /** Talks to nobody any more, and stores nothing as the leader. */
  | { readonly kind: 'resign' }
  /** The next `woken`; replaces the one before. */
  | { readonly kind: 'wake'; readonly atMs: number };

interface LifeStep {
  readonly life: TabLife;
  readonly effects: readonly LifeEffect[];
}
type Handler<K extends LifeKind> = (life: Extract<TabLife, { kind: K }>, nowMs: number) => LifeStep;

/** How often a follower asks whether its leader is there, while it hears nothing of it. */
export const ASK_EVERY_MS = 5_000;
/** A leader that has not answered for so long is frozen. */
export const PATIENCE_MS = 4_000;
/** A timer that comes so much too late says that this tab itself was frozen. */
const LATE_MS = 1_000;
const ROBBED_PAUSE_MS = 1_000;
const FAILED_PAUSE_MS = 10_000;
/** Of two that cannot hear each other, each leads for at least so long. */
export const REFUSED_PAUSE_MS = 30_000;

export function join(nowMs: number): LifeStep {
  return follow(nowMs, { kind: 'stand_in_line' });
}

/** What happens next: pure, and total in its types. */
export function stepLife(life: TabLife, event: LifeEvent, nowMs: number): LifeStep {
  const handler = LIFE[life.kind][event] as Handler<LifeKind>;
  return handler(life, nowMs);
}

/** @param then what may end it at once, and so comes last */
function follow(nowMs: number, ...then: LifeEffect[]): LifeStep {
  return {
    life: { kind: 'following', askedAtMs: nowMs },
    effects: [{ kind: 'ask' }, { kind: 'wake', atMs: nowMs + PATIENCE_MS }, ...then],
  };
}

function depose(pauseMs: number, ...before: LifeEffect[]) {
  return (_life: TabLife, nowMs: number): LifeStep => {
    const untilMs = nowMs + pauseMs;
    return {
      life: { kind: 'deposed', untilMs },
      effects: [{ kind: 'resign' }, ...before, { kind: 'wake', atMs: untilMs }],
    };
  };
}

const stay = (life: TabLife): LifeStep => ({ life, effects: [] });
const takeOver = (): LifeStep => ({ life: { kind: 'taking_over' }, effects: [{ kind: 'begin_term' }] });
const close = (): LifeStep => ({ life: { kind: 'closed' }, effects: [{ kind: 'resign' }] });

function wokenFollower({ askedAtMs }: Extract<TabLife, { kind: 'following' }>, nowMs: number): LifeStep {
  if (askedAtMs === null) return follow(nowMs);
  const waitedMs = nowMs - askedAtMs;
  const atMs = askedAtMs + PATIENCE_MS;
  // Timers may come early, by a millisecond in Node.
  if (waitedMs >= 0 && nowMs < atMs) {
    return { life: { kind: 'following', askedAtMs }, effects: [{ kind: 'wake', atMs }] };
  }
  // Who was frozen itself, or has another time now, knows nothing of the others: their answers wait.
  if (waitedMs < 0 || waitedMs > PATIENCE_MS + LATE_MS) return follow(nowMs);
  return {
    life: { kind: 'following', askedAtMs: null },
    effects: [{ kind: 'wake', atMs: nowMs + ASK_EVERY_MS }, { kind: 'steal' }],
  };
}

const NOTHING = {
  granted: stay,
  robbed: stay,
  heard: stay,
  term_begun: stay,
  term_failed: stay,
  refused: stay,
  replaced: stay,
  woken: stay,
  close: stay,
} satisfies Record<LifeEvent, (life: TabLife) => LifeStep>;

/** For every state and every event what happens: it does not compile with a cell missing. */
export const LIFE: { readonly [K in LifeKind]: { readonly [E in LifeEvent]: Handler<K> } } = {
  following: {
    ...NOTHING,
    granted: takeOver,
    heard: (_life, nowMs) => ({
      life: { kind: 'following', askedAtMs: null },
      effects: [{ kind: 'wake', atMs: nowMs + ASK_EVERY_MS }],
    }),
    woken: wokenFollower,
    close,
  },
  taking_over: {
    ...NOTHING,
    term_begun: () => ({ life: { kind: 'leading' }, effects: [{ kind: 'run' }] }),
    term_failed: depose(FAILED_PAUSE_MS, { kind: 'let_go' }),
    robbed: depose(ROBBED_PAUSE_MS),
    close,
  },
  leading: {
    ...NOTHING,
    robbed: depose(ROBBED_PAUSE_MS),
    refused: depose(REFUSED_PAUSE_MS, { kind: 'let_go' }),
    replaced: () => ({
      life: { kind: 'taking_over' },
      effects: [{ kind: 'resign' }, { kind: 'begin_term' }],
    }),
    close,
  },
  deposed: {
    ...NOTHING,
    woken: (life, nowMs) =>
      nowMs < life.untilMs && life.untilMs - nowMs <= REFUSED_PAUSE_MS
        ? { life, effects: [{ kind: 'wake', atMs: life.untilMs }] }
        : follow(nowMs, { kind: 'stand_in_line' }),
    close,
  },
  closed: NOTHING,
};
