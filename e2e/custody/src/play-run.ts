import { randomUUID } from 'node:crypto';
import { SeededRandom } from '@sync/documents/testing';
import { bindDevice, changeOnServer, deleteOnServer, type StackLine, until } from '@sync/e2e-device';
import { containsClock, type VectorClock } from '@sync/vector-clock';
import { CustodyDevice, keyOf, NotAnsweredError } from './custody-device.ts';
import { RunLog } from './run-log.ts';
import {
  DEVICES,
  type DeviceStep,
  describeStep,
  type PushStep,
  type Scenario,
  type ServerStep,
  type Step,
} from './scenario.ts';
import { dataWith, newValues, type World, writeChange } from './write-change.ts';

/** A stopped process goes on after this at the latest: longer than a gateway waits for an owner's answer. */
const STOPPED_AT_MOST_MS = 4_000;
/**
 * How long an entity that was deleted is waited for at the end, where nothing says that the deletion is the
 * last.
 */
const COMES_BACK_MS = 10_000;
const END_LIMITS = { limitMs: 150_000, pauseMs: 150, bearErrors: true };

type StopStep = ServerStep & { readonly do: 'stop' };

/** A run that was played to its end. */
export interface PlayedRun {
  readonly scenario: Scenario;
  readonly log: RunLog;
  readonly devices: readonly CustodyDevice[];
  /** By user, a new device that has pulled everything at the end. */
  readonly witnesses: ReadonlyMap<string, CustodyDevice>;
  /** What did not come to an end, null when everything did. */
  readonly unended: string | null;
}

/** Plays the steps with users and entities of its own, then lets everything end that still can. */
export async function playRun(stack: StackLine, scenario: Scenario): Promise<PlayedRun> {
  const play = await Play.begin(stack, scenario);
  for (const step of scenario.steps) await play.step(step);
  return play.end();
}

class Play {
  readonly #stack: StackLine;
  readonly #scenario: Scenario;
  readonly #tenantId = `t-${randomUUID().slice(0, 8)}`;
  readonly #world: World;
  readonly #devices: CustodyDevice[] = [];
  readonly #stopped = new Map<number, NodeJS.Timeout>();
  #absentSinceMs: number | null = null;

  private constructor(stack: StackLine, scenario: Scenario) {
    this.#stack = stack;
    this.#scenario = scenario;
    this.#world = {
      log: new RunLog(),
      random: new SeededRandom(scenario.seed),
      courseId: `c-${randomUUID().slice(0, 8)}`,
      sharesClientIds: scenario.oneClientId,
      ids: {
        progress: randomUUID(),
        note: randomUUID(),
        document: randomUUID(),
        enrollment: randomUUID(),
      },
    };
  }

  static async begin(stack: StackLine, scenario: Scenario): Promise<Play> {
    const play = new Play(stack, scenario);
    const { authoring } = stack;
    const data = { courseId: play.#world.courseId, title: 'Dosage', text: 'start;' };
    await changeOnServer(authoring, play.#tenantId, 'document', play.#world.ids.document, data);
    await play.#enroll('u2', 'active', randomUUID());
    await play.#enroll('u1', 'active');
    for (let place = 0; place < DEVICES; place += 1) {
      const leavesOut = scenario.leavesOwnEntryOut[place] ?? false;
      play.#devices.push(await play.#newDevice('abc'.charAt(place), place < 2 ? 'u1' : 'u2', leavesOut));
    }
    const courses = async (): Promise<boolean> => {
      await Promise.all(play.#devices.map((device) => device.sync()));
      return play.#devices.every((device) => device.text(`document/${play.#world.ids.document}`));
    };
    await until('every device has the document', courses, END_LIMITS);
    return play;
  }

  async step(step: Step): Promise<void> {
    this.#world.log.note(`# ${describeStep(step)}`);
    try {
      await this.#do(step);
    } catch (error) {
      if (!(error instanceof NotAnsweredError)) throw error;
      this.#world.log.note(error.message);
    }
  }

  /** Nothing disturbs any more: what is still open after that never ends. */
  async end(): Promise<PlayedRun> {
    this.#goOn();
    this.#world.log.note('# end');
    await this.#enroll('u1', 'active');
    let unended = null as string | null;
    const ended = async (): Promise<boolean> => {
      for (const device of this.#devices) {
        await device.push(device.pending);
        await device.sync();
      }
      const open = this.#devices.flatMap(({ pending }) => pending);
      const [a, b] = this.#devices;
      const different = a && b ? a.differsFrom(b) : 'no devices';
      unended = open.length > 0 ? `${open.map(({ mutationId }) => mutationId).join()} did not end` : null;
      if (different) unended ??= `the two devices of the user never agree: ${different}`;
      const missing = this.#missingRecords();
      if (missing.length > 0) unended ??= `the ConflictRecord of ${missing.join()} never comes`;
      return unended === null;
    };
    const end = (): Promise<void> =>
      until('everything ends', ended, END_LIMITS).catch((error: unknown) => {
        unended ??= String(error);
      });
    await end();
    // Everything once more, to be answered as before. A new device may be given what an older one was
    // refused.
    for (const device of this.#devices) await device.push(device.remembered).catch(ignoreUnanswered);
    await end();
    const witnesses = new Map<string, CustodyDevice>();
    for (const userId of new Set(this.#devices.map((device) => device.userId))) {
      witnesses.set(userId, await this.#newDevice('w', userId, false));
    }
    const missing = await this.#missingAtTheEnd(witnesses);
    const log = this.#world.log;
    return { scenario: this.#scenario, log, devices: this.#devices, witnesses, unended: unended ?? missing };
  }

  /** Waits for what is still on its way. @returns what never came, null when everything did */
  async #missingAtTheEnd(witnesses: ReadonlyMap<string, CustodyDevice>): Promise<string | null> {
    const missing: string[] = [];
    const agreed = async (): Promise<boolean> => {
      missing.length = 0;
      for (const device of this.#devices) missing.push(...(await this.#missingAt(device, witnesses)));
      return missing.length === 0;
    };
    await until('new devices have everything', agreed, END_LIMITS).catch(() => undefined);
    return missing[0] ?? null;
  }

  /**
   * What the device or a new one of its user still lacks; empty when they have the same, with all that was
   * applied.
   */
  async #missingAt(device: CustodyDevice, witnesses: ReadonlyMap<string, CustodyDevice>): Promise<string[]> {
    const witness = witnesses.get(device.userId) ?? device;
    await device.sync();
    await witness.sync();
    const different = device.differsFrom(witness);
    if (different) return [`${device.name} has not what a new device is given: ${different}`];
    const { log } = this.#world;
    for (const [mutationId, { mutation, userId }] of log.writes) {
      const { status, clock } = log.endOf(mutationId) ?? {};
      const entity = witness.entity(mutation.scope, keyOf(mutation));
      if (userId !== device.userId || !witness.scopes.has(mutation.scope)) continue;
      if (!clock || (status !== 'applied' && status !== 'merged')) continue;
      const has = entity ? containsClock(entity.clock, clock) : this.#isDeleted(keyOf(mutation), clock);
      if (!has) return [`${keyOf(mutation)} does not come as it was answered: ${JSON.stringify(clock)}`];
    }
    return [];
  }

  /**
   * Whether an entity may be absent for good. Where it was deleted, but by nothing that counts this change,
   * it may be about to come back: its creation is projected after its deletion.
   */
  #isDeleted(key: string, clock: VectorClock): boolean {
    const { log } = this.#world;
    const deletions = [...log.writes.values()].filter(
      ({ mutation }) => mutation.op === 'delete' && keyOf(mutation) === key,
    );
    const isCounted = deletions.some(({ mutation }) =>
      containsClock(log.endOf(mutation.mutationId)?.clock ?? {}, clock),
    );
    if (isCounted || log.serverChanges.some((change) => change.key === key)) return true;
    this.#absentSinceMs ??= Date.now();
    return deletions.length > 0 && Date.now() - this.#absentSinceMs > COMES_BACK_MS;
  }

  async #newDevice(name: string, userId: string, leavesOwnEntryOut: boolean): Promise<CustodyDevice> {
    const credentials = await bindDevice(this.#stack, this.#tenantId, userId);
    return new CustodyDevice(name, userId, credentials, {
      gateway: this.#stack.gateway,
      log: this.#world.log,
      leavesOwnEntryOut,
      clientId: this.#newClientId(userId),
    });
  }

  /** Mutations whose outcome names a ConflictRecord that their user has not pulled. */
  #missingRecords(): string[] {
    return this.#devices.flatMap(({ userId, records }) => {
      const pulled = new Set(records.map(({ conflictId }) => conflictId));
      return [...this.#world.log.writes].flatMap(([mutationId, write]) => {
        const conflictId =
          write.userId === userId ? this.#world.log.endOf(mutationId)?.conflictId : undefined;
        return conflictId === undefined || pulled.has(conflictId) ? [] : [mutationId];
      });
    });
  }

  async #do(step: Step): Promise<void> {
    if ('device' in step) return this.#onDevice(step);
    switch (step.do) {
      case 'server writes':
        return this.#serverWrites(step.what);
      case 'server deletes':
        return this.#serverDeletes(step.what);
      case 'server withdraws':
        return this.#enroll('u1', 'withdrawn');
      case 'server enrolls':
        return this.#enroll('u1', 'active');
      case 'stop': {
        this.#stop(step);
        return;
      }
      case 'continue': {
        this.#goOn();
        return;
      }
    }
  }

  async #onDevice(step: DeviceStep): Promise<void> {
    const device = this.#devices[step.device];
    if (!device) throw new RangeError(`no device ${step.device}`);
    switch (step.do) {
      case 'write':
        writeChange(this.#world, device, step.what, step.old);
        return;
      case 'push':
        return this.#push(device, step);
      case 'sync':
        return device.sync();
      case 'backup':
        device.backup();
        return;
      case 'restore':
        device.restore(this.#newClientId(device.userId));
        return;
      case 'reinstall': {
        const credentials = await bindDevice(this.#stack, this.#tenantId, device.userId);
        device.reinstall(credentials, this.#newClientId(device.userId));
        return;
      }
      case 'stranger pushes': {
        const stranger = this.#devices.find(({ userId }) => userId !== device.userId);
        if (stranger) await device.push(device.pending, { as: stranger });
      }
    }
  }

  async #push(device: CustodyDevice, { order, again, lost }: PushStep): Promise<void> {
    const mutations = again ? device.remembered : [...device.pending];
    if (order === 'as written') return device.push(mutations, { lost });
    // That something is missing is seen by the own entry alone (PUSH-8): who does not count keeps the order.
    const ordered = device.countsItsChanges ? mutations.toReversed() : mutations;
    for (const mutation of ordered.slice(0, 8)) {
      await device.push([mutation], { lost }).catch(ignoreUnanswered);
    }
  }

  async #serverWrites(type: 'progress' | 'note'): Promise<void> {
    const tokens = newValues(this.#world, type);
    const data = dataWith(this.#world, type, 'u1', tokens);
    const entityId = this.#world.ids[type];
    await this.#onServer(() => changeOnServer(this.#stack.learning, this.#tenantId, type, entityId, data));
    this.#world.log.serverChanges.push({
      key: keyOf({ entityType: type, entityId }),
      tokens,
      atMs: Date.now(),
    });
  }

  async #serverDeletes(type: 'progress' | 'note'): Promise<void> {
    const entityId = this.#world.ids[type];
    // Nothing to delete is a 404.
    const gone = (): Promise<void> => deleteOnServer(this.#stack.learning, this.#tenantId, type, entityId);
    await this.#onServer(() => gone().catch(() => undefined));
    const key = keyOf({ entityType: type, entityId });
    this.#world.log.serverChanges.push({ key, tokens: new Map(), atMs: Date.now() });
  }

  async #enroll(
    userId: string,
    status: 'active' | 'withdrawn',
    entityId = this.#world.ids.enrollment,
  ): Promise<void> {
    const { courseId, log } = this.#world;
    const data = { userId, courseId, status };
    if (status === 'withdrawn') log.withdrawn.add(`course:${courseId}`);
    const { learning } = this.#stack;
    await this.#onServer(() => changeOnServer(learning, this.#tenantId, 'enrollment', entityId, data));
  }

  /** A service that stands still answers nobody, so it goes on first. */
  async #onServer(change: () => Promise<void>): Promise<void> {
    const pid = this.#stack.pids['learning'];
    if (pid !== undefined) this.#continue(pid);
    await change();
  }

  #stop({ service }: StopStep): void {
    const pid = this.#stack.pids[service];
    if (pid === undefined) throw new RangeError(`${service} has no process`);
    if (this.#stopped.has(pid)) return;
    process.kill(pid, 'SIGSTOP');
    this.#stopped.set(
      pid,
      setTimeout(() => this.#continue(pid), STOPPED_AT_MOST_MS),
    );
  }

  #goOn(): void {
    for (const pid of [...this.#stopped.keys()]) this.#continue(pid);
  }

  #continue(pid: number): void {
    clearTimeout(this.#stopped.get(pid));
    if (this.#stopped.delete(pid)) process.kill(pid, 'SIGCONT');
  }

  #newClientId(userId: string): number {
    if (this.#scenario.oneClientId) return userId === 'u1' ? 1_000_001 : 1_000_002;
    return 2_000_000 + this.#world.random.below(2 ** 31);
  }
}

function ignoreUnanswered(error: unknown): void {
  if (!(error instanceof NotAnsweredError)) throw error;
}
