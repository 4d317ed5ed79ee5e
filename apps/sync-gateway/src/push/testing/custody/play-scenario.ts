import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonObject } from '@sync/domain';
import type { ConflictSeen } from '@sync/protocol';
import { toProblem } from '@sync/service-kit';
import { newAuthor, type PushRig } from '../push-rig.ts';
import { CustodyDevice } from './custody-device.ts';
import type { History, PlayedRound, Pushed, ServerChange, Written } from './history.ts';
import { DEVICES, type DeviceRound, ENTITIES, NO_STEPS, QUIET, type Round } from './scenario.ts';

const TYPE = 'progress';
/**
 * How often the dispatcher works on what is left; with the pauses much longer than a circuit breaker stays
 * open.
 */
const LAST_PASSES = 200;
const PAUSE_MS = 50;

/** Plays the rounds with devices and entities of its own, and lets everything end afterwards. */
export async function playScenario(rig: PushRig, rounds: readonly Round[]): Promise<History> {
  const play = new Play(rig);
  await play.begin();
  for (const round of rounds) await play.round(round);
  await play.end();
  return play.history();
}

interface StartedChange {
  readonly entityId: string;
  readonly name: string;
  readonly done: Promise<void>;
}

interface Started extends Pick<PlayedRound, 'pushed'> {
  readonly change: StartedChange | null;
  readonly done: Promise<unknown>;
}

class Play {
  readonly #rig: PushRig;
  readonly #tenantId: string;
  readonly #userId: string;
  readonly #devices: readonly CustodyDevice[];
  readonly #changes: ReadonlyMap<string, Map<number, ServerChange>>;
  readonly #rounds: PlayedRound[] = [];
  #serverChanges = 0;

  constructor(rig: PushRig) {
    this.#rig = rig;
    const author = newAuthor();
    this.#tenantId = author.tenantId;
    this.#userId = author.userId;
    this.#devices = Array.from({ length: DEVICES }, (_, place) => {
      const letter = String.fromCharCode(97 + place);
      return new CustodyDevice({ ...author, deviceId: `${author.deviceId}-${letter}` }, letter);
    });
    const entities = Array.from({ length: ENTITIES }, (_, place) => `e${place}-${author.deviceId}`);
    this.#changes = new Map(entities.map((entityId) => [entityId, new Map<number, ServerChange>()]));
  }

  async begin(): Promise<void> {
    this.#behave('answers', true);
    for (let place = 0; place < ENTITIES; place += 1) await this.#change(this.#entityId(place), 'f0').done;
  }

  async round(round: Round): Promise<void> {
    this.#behave(round.owner, round.projectsAtOnce);
    // Before anybody works on them: what somebody has in its hands nobody else may take for many seconds.
    for (const { author } of this.#devices) await this.#rig.makeDue(author);
    await this.#noted(round, () => {
      const place = round.change;
      const change = place && this.#change(this.#entityId(place.entity), `f${place.field}`);
      const work = this.#devices.map((device, at) => this.#deviceRound(device, round.devices[at]));
      const dispatched = this.#devices.filter((_, at) => round.devices[at]?.dispatched);
      const dispatching = this.#rig.dispatchDue(...dispatched.map(({ author }) => author));
      const done = Promise.all([...work.map((one) => one.done), change?.done, dispatching]);
      return { change, pushed: work.map((one) => one.pushed), done };
    });
    if (round.projectsAfterwards) await this.#rig.owner.projectAll();
  }

  /** Nothing disturbs any more: what is still open after that never ends. */
  async end(): Promise<void> {
    this.#behave('answers', true);
    await this.#rig.owner.projectAll();
    await this.#noted(QUIET, () => ({ change: null, pushed: [], done: this.#endAll() }));
    // Once more everything, to be answered the same.
    for (const device of this.#devices) await this.#push(device, device.outbox);
  }

  async history(): Promise<History> {
    const { owner } = this.#rig;
    const written = this.#devices.flatMap(({ outbox }) => outbox);
    const outcomes = await Promise.all(this.#devices.map(({ author }) => this.#rig.waiting(author)));
    for (const [place, device] of this.#devices.entries()) device.note(outcomes[place] ?? []);
    const byId = new Map(written.map((one) => [one.mutation.mutationId, one]));
    const events = (await this.#rig.syncEvents()).filter(({ tenantid }) => tenantid === this.#tenantId);
    const records = events.filter(({ type }) => type.startsWith('sync.conflict.'));
    return {
      rounds: this.#rounds,
      written: byId,
      answers: new Map(this.#devices.flatMap(({ answers }) => [...answers])),
      outcomes: new Map(outcomes.flat().map((outcome) => [outcome.mutationId, outcome])),
      applied: owner.applied.filter((mutationId) => byId.has(mutationId)),
      entities: [...this.#changes].map(([entityId, changes]) => {
        return { entityId, changes, data: this.#dataOf(entityId) };
      }),
      records: records.map(({ data }) => data as ConflictSeen),
    };
  }

  /** Carries a round out and keeps how it went. */
  async #noted(round: Round, start: () => Started): Promise<void> {
    const { requests } = this.#rig.owner;
    const before = requests.length;
    const { change, pushed, done } = start();
    await done;
    this.#rounds.push({ round, change, pushed, asked: requests.slice(before) });
  }

  #deviceRound(
    device: CustodyDevice,
    steps: DeviceRound = NO_STEPS,
  ): { pushed: Pushed; done: Promise<unknown> } {
    for (const write of steps.writes) {
      device.write(this.#entityId(write.entity), `f${write.field}`, write);
    }
    const pushes = device.toPush(steps.again);
    const open = pushes.filter((one) => !device.hasEnded(one)).map(({ name }) => name);
    const pushed = { device: device.letter, open, repeated: pushes.length - open.length };
    const copies = Array.from({ length: steps.copies }, () => this.#push(device, pushes));
    return { pushed, done: Promise.all(copies) };
  }

  async #endAll(): Promise<void> {
    for (const device of this.#devices) await this.#push(device, device.outbox);
    for (let pass = 0; pass < LAST_PASSES && (await this.#hasOpen()); pass += 1) {
      let ended = 0;
      for (const { author } of this.#devices) ended += await this.#rig.dispatch(author);
      if (ended === 0) await sleep(PAUSE_MS);
    }
  }

  #behave(mode: Round['owner'], projectsAtOnce: boolean): void {
    this.#rig.owner.mode = mode;
    this.#rig.owner.projectsAtOnce = projectsAtOnce;
  }

  /** Without an answer where the gateway refuses the whole push for now, as devices see it too. */
  async #push(device: CustodyDevice, pushes: readonly Written[]): Promise<void> {
    if (pushes.length === 0) return;
    try {
      const mutations = pushes.map(({ mutation }) => mutation);
      device.note(await this.#rig.push(device.author, mutations));
    } catch (error) {
      if (!['unavailable', 'rate_limited'].includes(toProblem(error).code)) throw error;
    }
  }

  #change(entityId: string, field: string): StartedChange {
    this.#serverChanges += 1;
    const name = `s${this.#serverChanges}`;
    const changes = this.#changes.get(entityId) ?? new Map<number, ServerChange>();
    const data = { ...this.#dataOf(entityId), [field]: name };
    const done = this.#rig.owner.change(this.#tenantId, TYPE, entityId, data);
    // The owner has it at once; what takes time is the projection.
    const revision = this.#rig.owner.entity(this.#tenantId, TYPE, entityId)?.revision ?? 0;
    changes.set(revision, { name, field, counter: changes.size + 1 });
    return { entityId, name, done };
  }

  async #hasOpen(): Promise<boolean> {
    const ended = await Promise.all(this.#devices.map(({ author }) => this.#rig.waiting(author)));
    return ended.flat().length < this.#devices.flatMap(({ outbox }) => outbox).length;
  }

  #entityId(place: number): string {
    return [...this.#changes.keys()][place] ?? '';
  }

  #dataOf(entityId: string): JsonObject {
    return this.#rig.owner.entity(this.#tenantId, TYPE, entityId)?.data ?? { userId: this.#userId };
  }
}
