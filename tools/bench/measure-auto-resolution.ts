/**
 * auto-resolution: how many conflicts a platform in ordinary use leaves to people. The rates are defined in
 * docs/guides/conflict-rates.md.
 */
import { randomUUID } from 'node:crypto';
import { SeededRandom } from '@sync/documents/testing';
import { DriverDevice, bindDevice, changeOnServer, until } from '@sync/e2e-device';
import type { Outcome, RemoteDelta } from '@sync/protocol';
import { type OperationResult, result } from './result.ts';
import { type World, TENANT } from './world.ts';

/** Changed only together with the published figures. */
const SEED = 20_260_101;
const DEVICES_PER_USER = 3;
const COURSES_PER_USER = 3;
const NOTES_PER_USER = 12;
const USERS_AT_ONCE = 4;
/** A device that was used and finds no network keeps its outbox for the next round. */
const OFFLINE = 0.4;
const SETTLED = { limitMs: 30_000, pauseMs: 20 };

/**
 * What people do, per thousand actions: learn (statements and progress), and now and then write something
 * down.
 */
const ACTIONS = [
  [602, 'statement'],
  [320, 'progress'],
  [50, 'new note'],
  [20, 'note text'],
  [6, 'note colour'],
  [2, 'withdraw'],
] as const;
type Action = (typeof ACTIONS)[number][1];

/** One learner with several devices, who goes on reading wherever the last device lies. */
class Learner {
  /** None of the SDK: its own pulls and its queue would be in what a push costs and takes. */
  readonly devices: DriverDevice[] = [];
  readonly latenciesMs = { clean: [] as number[], concurrent: [] as number[] };
  readonly #userId = `resolving-${randomUUID().slice(0, 8)}`;
  readonly #courses = Array.from({ length: COURSES_PER_USER }, () => `course-${randomUUID().slice(0, 8)}`);
  readonly #world: World;
  readonly #random: () => number;

  constructor(world: World, random: () => number) {
    this.#world = world;
    this.#random = random;
  }

  /** Everything that the rounds change exists on all devices. */
  async begin(): Promise<void> {
    const { urls } = this.#world;
    for (let count = 0; count < DEVICES_PER_USER; count += 1) {
      const bound = await bindDevice(urls, TENANT, this.#userId);
      this.devices.push(new DriverDevice(urls.gateway, bound));
    }
    await Promise.all(this.#courses.map((courseId) => this.#enrol(courseId, 'active')));
    const [first] = this.devices;
    for (const courseId of this.#courses) {
      const data = { userId: this.#userId, courseId, percent: 0, status: 'in_progress' };
      if (first) this.#write(first, 'progress', this.#ofCourse('p', courseId), 'put', data);
    }
    for (let count = 0; first && count < NOTES_PER_USER; count += 1) this.#newNote(first);
    await first?.push();
    const wanted = 2 * COURSES_PER_USER + NOTES_PER_USER;
    for (const device of this.devices) {
      await until(
        'the device has everything',
        async () => {
          await device.sync();
          return device.replica(this.#scope).entities.size >= wanted;
        },
        SETTLED,
      );
    }
  }

  /** Each device is used, in any order, and synced if there is a network. */
  async round(): Promise<void> {
    const order = this.devices.map((device) => ({ device, at: this.#random() })).sort((a, b) => a.at - b.at);
    for (const { device } of order) {
      const actions = 4 + Math.floor(this.#random() * 20);
      const courseId = this.#one(this.#courses) ?? '';
      for (let count = 0; count < actions; count += 1) this.#act(device, this.#draw(), courseId);
    }
    if (this.#random() < 0.1) await this.#enrol(this.#one(this.#courses) ?? '', 'completed');
    for (const { device } of order) if (this.#random() >= OFFLINE) await this.sync(device);
  }

  async sync(device: DriverDevice): Promise<void> {
    const startedMs = performance.now();
    const outcomes = await device.push();
    const tookMs = performance.now() - startedMs;
    const kind = outcomes.some(isConflict) ? 'concurrent' : 'clean';
    if (outcomes.length > 0) this.latenciesMs[kind].push(tookMs);
    await device.sync();
  }

  /** Every mutation has its outcome. */
  async end(): Promise<Outcome[]> {
    for (const device of this.devices) {
      await this.sync(device);
      const open = (): boolean => [...device.outcomes.values()].some(({ status }) => status === 'accepted');
      await until(
        'every mutation has its outcome',
        async () => {
          if (open()) await device.sync();
          return !open();
        },
        SETTLED,
      );
    }
    return this.devices.flatMap((device) => [...device.outcomes.values()]);
  }

  get #scope(): string {
    return `user:${this.#userId}`;
  }

  #act(device: DriverDevice, action: Action, courseId: string): void {
    const note = this.#one(this.#heldNotes(device));
    switch (action) {
      case 'statement': {
        const id = randomUUID();
        const verb = { id: 'http://adlnet.gov/expapi/verbs/experienced' };
        const object = { id: `https://courses.example/${courseId}/${Math.floor(this.#random() * 90)}` };
        this.#write(device, 'statement', id, 'append', { id, verb, object });
        return;
      }
      case 'progress': {
        const page = Math.floor(this.#random() * 90);
        const data = { percent: page, lastPage: `page-${page}` };
        this.#write(device, 'progress', this.#ofCourse('p', courseId), 'patch', data);
        return;
      }
      case 'new note': {
        this.#newNote(device);
        return;
      }
      case 'note text':
        if (note) this.#write(device, 'note', note.entityId, 'patch', { text: `thought ${randomUUID()}` });
        return;
      case 'note colour':
        if (note) this.#write(device, 'note', note.entityId, 'patch', { colour: this.#one(['red', 'blue']) });
        return;
      case 'withdraw': {
        const data = { userId: this.#userId, courseId, status: 'withdrawn' };
        this.#write(device, 'enrollment', this.#ofCourse('e', courseId), 'put', data);
      }
    }
  }

  #heldNotes(device: DriverDevice): RemoteDelta[] {
    return [...device.replica(this.#scope).entities.values()].filter(
      ({ entityType }) => entityType === 'note',
    );
  }

  #newNote(device: DriverDevice): void {
    const data = { userId: this.#userId, text: `note ${randomUUID()}` };
    this.#write(device, 'note', `n-${randomUUID()}`, 'put', data);
  }

  #write(
    device: DriverDevice,
    entityType: string,
    entityId: string,
    op: 'put' | 'patch' | 'append',
    data: Record<string, unknown>,
  ): void {
    device.write({ scope: this.#scope, entityType, entityId, op, data });
  }

  #enrol(courseId: string, status: string): Promise<void> {
    const data = { userId: this.#userId, courseId, status };
    return changeOnServer(
      this.#world.urls.learning,
      TENANT,
      'enrollment',
      this.#ofCourse('e', courseId),
      data,
    );
  }

  #ofCourse(prefix: string, courseId: string): string {
    return `${prefix}-${this.#userId}-${courseId}`;
  }

  #draw(): Action {
    let left = this.#random() * 1_000;
    for (const [share, action] of ACTIONS) {
      if (left < share) return action;
      left -= share;
    }
    return 'statement';
  }

  #one<T>(choices: readonly T[]): T | undefined {
    return choices[Math.floor(this.#random() * choices.length)];
  }
}

/** A mutation whose entity had moved on since its base. */
function isConflict({ status, code }: Outcome): boolean {
  return (
    status === 'merged' ||
    status === 'superseded' ||
    status === 'conflict' ||
    (status === 'rejected' && code === 'server_changed')
  );
}

/**
 * Latencies: pushes that met a conflict, beside the clean pushes of the same run. CPU: of a push of either
 * sort, with the pulls that follow it.
 */
export async function measureAutoResolution(world: World): Promise<OperationResult> {
  const { learners: count, rounds } = world.sizes;
  const learners = Array.from({ length: count }, (_unused, place) => {
    return new Learner(world, new SeededRandom(SEED + place).next);
  });
  const outcomes: Outcome[] = [];
  const endOfCost = await world.meters.platform.begin();
  const startedMs = performance.now();
  const waiting = [...learners];
  const work = async (): Promise<void> => {
    for (let learner = waiting.shift(); learner; learner = waiting.shift()) {
      await learner.begin();
      for (let round = 0; round < rounds; round += 1) await learner.round();
      outcomes.push(...(await learner.end()));
    }
  };
  await Promise.all(Array.from({ length: USERS_AT_ONCE }, work));
  const tookMs = performance.now() - startedMs;
  const cost = await endOfCost();
  const samplesOf = (kind: 'clean' | 'concurrent'): { latenciesMs: number[]; tookMs: number } => {
    return { latenciesMs: learners.flatMap(({ latenciesMs }) => latenciesMs[kind]), tookMs };
  };
  const [clean, concurrent] = [samplesOf('clean'), samplesOf('concurrent')];
  const operations = clean.latenciesMs.length + concurrent.latenciesMs.length;
  const conflicts = outcomes.filter(isConflict).length;
  const people = outcomes.filter(({ status }) => status === 'conflict').length;
  return result('auto-resolution', USERS_AT_ONCE, { ...concurrent, cost, operations }, clean, {
    mutations: outcomes.length,
    conflicts,
    leftToPeople: people,
    autoResolvedPercent: 100 * (1 - people / conflicts),
    conflictPercent: (100 * conflicts) / outcomes.length,
    forPeoplePercent: (100 * people) / outcomes.length,
  });
}
