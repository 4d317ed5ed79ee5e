import type { Clock } from '../clock/clock.ts';
import type { EngineState } from '../engine/state.ts';
import { STOPPED } from '../engine/step.ts';
import { isBehind } from '../local/guarded-store.ts';
import { Listeners } from '../local/listeners.ts';
import type { LocalState } from '../local/local-state.ts';
import type { Failure } from '../net/transport.ts';
import { StorageError } from '../storage/store.ts';
import { type LifeEffect, type LifeEvent, type TabLife, join, stepLife } from '../tabs/life.ts';
import { type Command, type Message, type Shown, kindOf, read, write } from '../tabs/messages.ts';
import { type Seat, type Tabs, alone } from '../tabs/tabs.ts';
import { SyncLoop, type SyncLoopOptions } from './sync-loop.ts';

export interface TabOptions extends Pick<SyncLoopOptions, 'local' | 'transport' | 'clock' | 'random'> {
  readonly tabs: Tabs;
}

/** What the app has last asked of the device, in whatever tab: whoever begins to lead does it. */
interface Wishes {
  readonly isStarted: boolean;
  readonly isForcedOffline: boolean;
  readonly hasNetwork: boolean;
}

const WISHED: { readonly [K in Command['kind']]?: Partial<Wishes> } = {
  start: { isStarted: true },
  stop: { isStarted: false },
  force_offline: { isForcedOffline: true },
  allow_network: { isForcedOffline: false },
  network_lost: { hasNetwork: false },
  network_back: { hasNetwork: true },
};

/**
 * One of the tabs that share a store. It does what its life says ({@link TabLife}): runs the device while it
 * leads, and keeps what it holds in memory up to date while another one does.
 */
export class Tab {
  readonly local: LocalState;
  readonly #clock: Clock;
  readonly #tabs: Tabs;
  readonly #loop: SyncLoop;
  readonly #listeners = new Listeners<void>();
  #life: TabLife = { kind: 'closed' };
  #seat: Seat | null = null;
  #wishes: Wishes = { isStarted: false, isForcedOffline: false, hasNetwork: true };
  /** What was asked for in this tab, until its leader says that it is so. */
  #asked: Partial<Wishes> = {};
  #shown: Shown = { engine: STOPPED, aheadMs: 0 };
  #cancelWake: () => void = () => undefined;
  /** Of the last term that this tab has tried to begin. */
  #beginning: Promise<void> = Promise.resolve();

  constructor({ tabs, ...options }: TabOptions) {
    this.local = options.local;
    this.#clock = options.clock;
    this.#tabs = tabs;
    this.#loop = new SyncLoop({
      ...options,
      isShared: tabs !== alone || this.local.store.isForTabs,
      onState: (engine) => this.#tellState(engine),
      onDeposed: (why) => this.#step(why),
    });
    this.local.onRebuilt = () => {
      if (this.#life.kind === 'leading') this.#loop.dispatch({ kind: 'storage_rebuilt' });
    };
    this.local.store.onStored = (told) => this.#post({ kind: 'stored', told });
  }

  /**
   * Opens what is stored, and stands in line for the lead.
   * @throws SyncError `other_device`, StorageError
   */
  async join(): Promise<void> {
    const { tenantId, userId, deviceId } = this.local.identity;
    // Before it reads: nothing that others store from now on is missed.
    const seat = this.#tabs.join(`sync-client ${JSON.stringify([tenantId, userId, deviceId])}`, {
      heard: (message) => this.#hear(message),
      granted: () => this.#step('granted'),
      robbed: () => this.#step('robbed'),
      returned: () => this.#return(),
    });
    this.#seat = seat;
    try {
      await this.local.open();
    } catch (error) {
      seat.leave();
      throw error;
    }
    const { life, effects } = join(this.#clock.now());
    this.#life = life;
    for (const effect of effects) this.#perform(effect);
    // Who is alone leads by now.
    await this.#beginning;
  }

  /** How the device stands with its server, as far as this tab knows. */
  get shown(): Shown {
    return this.#shown;
  }

  /** Null where another tab leads. */
  get lastFailure(): Failure | null {
    return this.#loop.lastFailure;
  }

  /** Calls `listener` when `shown`, or what is known of scopes, may have changed. */
  listen(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Reaches whoever leads, or will. */
  command(command: Command): void {
    this.#note(command);
    if (this.#life.kind === 'leading') this.#loop.dispatch(command);
    else {
      this.#asked = { ...this.#asked, ...WISHED[command.kind] };
      this.#post({ kind: 'command', command });
    }
  }

  /** This tab has stored a write. The leader, if it is another one, hears of it as of every commit. */
  wrote(): void {
    if (this.#life.kind === 'leading') this.#loop.dispatch({ kind: 'wrote' });
  }

  /** Sends nothing more, and stores nothing of what is under way. Others are not stopped. */
  resign(): void {
    this.#step('close');
    this.#cancelWake();
    this.#shown = { engine: STOPPED, aheadMs: 0 };
    this.#listeners.tell();
  }

  /** Lets another one lead. Not before all is stored: it reads then. */
  leave(): void {
    this.#seat?.leave();
  }

  #step(event: LifeEvent): void {
    const { life, effects } = stepLife(this.#life, event, this.#clock.now());
    if (life.kind !== this.#life.kind) this.#cancelWake();
    this.#life = life;
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: LifeEffect): void {
    switch (effect.kind) {
      case 'stand_in_line':
        this.#seat?.standInLine();
        return;
      case 'steal':
        this.#seat?.steal();
        return;
      case 'let_go':
        this.#seat?.letGo();
        return;
      case 'ask':
        this.#post({ kind: 'who_leads' });
        return;
      case 'begin_term':
        this.#beginning = this.#beginTerm();
        return;
      case 'run':
        this.#run();
        return;
      case 'resign':
        this.local.store.endTerm();
        this.#loop.dispatch({ kind: 'stop' });
        return;
      case 'wake':
        this.#cancelWake();
        this.#cancelWake = this.#clock.setTimer(Math.max(0, effect.atMs - this.#clock.now()), () =>
          this.#step('woken'),
        );
    }
  }

  async #beginTerm(): Promise<void> {
    const life = this.#life;
    const isMeant = (): boolean => this.#life === life;
    try {
      await this.local.lead();
      if (isMeant()) this.#step('term_begun');
      else if (this.#life.kind !== 'taking_over') this.local.store.endTerm();
    } catch (error) {
      if (!isMeant()) return;
      this.#step('term_failed');
      this.#tellFailed(error);
    }
  }

  /** Nobody else would say why the device does nothing. */
  #tellFailed(error: unknown): void {
    if (!this.#wishes.isStarted || this.#life.kind !== 'deposed') return;
    const isFull = error instanceof StorageError && error.code === 'full';
    const reason = isFull ? 'storage_full' : 'storage_failed';
    const phase = { kind: 'backing_off', reason, untilMs: this.#life.untilMs } as const;
    this.#shown = { engine: { ...STOPPED, phase }, aheadMs: 0 };
    this.#listeners.tell();
  }

  #run(): void {
    const { isStarted, isForcedOffline, hasNetwork } = this.#wishes;
    this.#loop.dispatch({ kind: isForcedOffline ? 'force_offline' : 'allow_network' });
    this.#loop.dispatch({ kind: hasNetwork ? 'network_back' : 'network_lost' });
    if (isStarted) this.#loop.dispatch({ kind: 'start' });
  }

  #tellState(engine: EngineState): void {
    if (this.#life.kind !== 'leading') return;
    this.#show({ engine, aheadMs: this.#loop.aheadMs });
    this.#tellLeading();
  }

  #show(shown: Shown): void {
    const { phase, isForcedOffline, hasNetwork } = shown.engine;
    // Until everything of a revoked device is removed, whoever leads next asks again, and removes it.
    const isOver = phase.kind === 'revoked' && (phase.reason !== 'device_revoked' || this.local.isRevoked);
    const isStarted = phase.kind !== 'stopped' && !isOver;
    // A leader that was frozen says how it stood before it has heard of what was asked.
    const told = { isStarted, isForcedOffline, hasNetwork };
    this.#forgetAsked((name, value) => told[name] === value);
    this.#wishes = { ...told, ...this.#asked };
    this.#shown = shown;
    this.#listeners.tell();
  }

  #note({ kind }: Command): void {
    this.#wishes = { ...this.#wishes, ...WISHED[kind] };
  }

  #forgetAsked(isOver: (name: keyof Wishes, value: boolean) => boolean): void {
    const asked = Object.entries(this.#asked) as [keyof Wishes, boolean][];
    this.#asked = Object.fromEntries(asked.filter(([name, value]) => !isOver(name, value)));
  }

  #post(message: Message): void {
    this.#seat?.post(write(message));
  }

  #tellLeading(): void {
    this.#post({ kind: 'leading', shown: this.#shown, known: { ...this.local.store.known } });
  }

  #hear(posted: unknown): void {
    const message = read(posted);
    switch (message?.kind) {
      case undefined:
        this.#hearOtherVersion(kindOf(posted));
        return;
      case 'stored':
        void this.#reading(this.local.hear(message.told));
        return;
      case 'leading':
        this.#hearLeading(message);
        return;
      case 'who_leads':
        if (this.#life.kind === 'leading') this.#tellLeading();
        return;
      case 'command':
        this.#note(message.command);
        this.#forgetAsked((name) => name in (WISHED[message.command.kind] ?? {}));
        if (this.#life.kind === 'leading') this.#loop.dispatch(message.command);
    }
  }

  #hearOtherVersion(kind: unknown): void {
    if (kind === 'leading') this.#step('heard');
    if (kind === 'who_leads' && this.#life.kind === 'leading') this.#tellLeading();
    void this.#reading(this.local.catchUp());
  }

  #hearLeading({ shown, known }: Extract<Message, { kind: 'leading' }>): void {
    const own = this.local.store.known;
    // One that was frozen, and does not know yet that another one leads.
    if (known.store === own.store && known.term < own.term) return;
    own.term = Math.max(own.term, known.term);
    if (this.#life.kind !== 'leading') this.#show(shown);
    this.#step('heard');
    if (isBehind(own, known)) void this.#reading(this.local.catchUp(known));
  }

  #return(): void {
    void this.#reading(this.local.catchUp());
    this.#post({ kind: 'who_leads' });
  }

  /** What cannot be read now is read with the next message: the counters tell that it is missing. */
  async #reading(work: Promise<void>): Promise<void> {
    const isRead = await work.then(
      () => true,
      () => false,
    );
    if (this.#life.kind === 'closed') return;
    // Scopes may have come further, which the mirror tells nobody.
    this.#listeners.tell();
    // A write of another tab may be among it.
    if (!isRead || this.local.mirror.outbox.queuedCount > 0) this.wrote();
  }
}
