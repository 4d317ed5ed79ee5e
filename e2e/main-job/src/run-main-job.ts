import { createHash, randomUUID } from 'node:crypto';
import { SyncError } from '@sync/client';
import {
  type LearnerDevice,
  type PlatformUrls,
  bindLearnerDevice,
  changeOnServer,
  until,
} from '@sync/e2e-device';
import { type Printer, Steps, type Written, digestTable, mutationTable } from './report.ts';

const TENANT = 'acme';
const STATEMENTS_PER_DEVICE = 20;
const CONVERGENCE_LIMIT_MS = 20_000;

export interface MainJobOptions {
  readonly urls: PlatformUrls;
  readonly out: Printer;
}

interface Named {
  readonly name: string;
  readonly device: LearnerDevice;
  readonly written: Written[];
}

interface Learner {
  readonly userId: string;
  readonly courseId: string;
  readonly enrollmentId: string;
  readonly progressId: string;
}

/**
 * The devices and the server disagree at the end, or a mutation has no outcome: the platform does not keep
 * its promise.
 */
export class MainJobError extends Error {
  override readonly name = 'MainJobError';
}

/**
 * The main job: a course and its bundle, an enrolled learner with two devices, both offline and back, a clerk
 * in between. Prints every mutation with its outcome, the digests and what each step took.
 * @throws MainJobError when something was lost, doubled or left different
 */
export async function runMainJob({ urls, out }: MainJobOptions): Promise<void> {
  const steps = new Steps(out);
  const run = randomUUID().slice(0, 8);
  const learner: Learner = {
    userId: `learner-${run}`,
    courseId: `sailing-${run}`,
    enrollmentId: `enrollment-${run}`,
    progressId: `progress-${run}`,
  };
  await steps.time('a clerk publishes the course bundle and enrols the learner', () =>
    prepareCourse(urls, learner),
  );
  const devices = await steps.time('the learner binds a phone and a tablet', async () => [
    await bind(urls, learner, 'phone'),
    await bind(urls, learner, 'tablet'),
  ]);
  await steps.time('both sync: enrolment, course scope, bundle', () =>
    Promise.all(devices.map((named) => waitForBundle(named, learner))),
  );
  await steps.time('both go offline and learn on: statements, progress, a note each', async () => {
    for (const named of devices) await learnOffline(named, learner);
  });
  await steps.time('meanwhile the clerk sets the enrolment to completed', () =>
    changeOnServer(urls.learning, TENANT, 'enrollment', learner.enrollmentId, {
      userId: learner.userId,
      courseId: learner.courseId,
      status: 'completed',
    }),
  );
  for (const named of devices) {
    const { name, written } = named;
    await steps.time(`the ${name} is back and pushes ${written.length} mutations`, () => comeBack(named));
  }
  await steps.time('both pull until they agree with the server', () => converge(devices));
  out(mutationTable(devices));
  out(await digestTable(devices));
  steps.print();
  await checkOutcomes(devices);
  for (const { device } of devices) await device.close();
}

async function prepareCourse(urls: PlatformUrls, learner: Learner): Promise<void> {
  const page =
    'A sailing boat turns through the wind by putting the rudder over until the sail fills on the other side. '.repeat(
      40,
    );
  await changeOnServer(urls.learning, TENANT, 'bundle', `bundle-${learner.courseId}`, {
    courseId: learner.courseId,
    title: 'Sailing in twelve lessons',
    files: [
      {
        path: 'lesson-01.html',
        sha256: createHash('sha256').update(page).digest('hex'),
        bytes: Buffer.byteLength(page),
      },
    ],
  });
  await changeOnServer(urls.learning, TENANT, 'enrollment', learner.enrollmentId, {
    userId: learner.userId,
    courseId: learner.courseId,
    status: 'active',
  });
}

async function bind(urls: PlatformUrls, { userId }: Learner, name: string): Promise<Named> {
  const device = await bindLearnerDevice(urls, TENANT, userId);
  return { name, device, written: [] };
}

async function waitForBundle({ name, device }: Named, learner: Learner): Promise<void> {
  const bundles = await device.client.entity('bundle').load();
  const id = `bundle-${learner.courseId}`;
  await within(`the bundle reaches the ${name}`, async () => bundles.get(id) !== null);
}

/**
 * Both devices write the same progress, so that the later one wins field by field; the tablet also tries what
 * only the server may decide.
 */
async function learnOffline({ name, device: { client }, written }: Named, learner: Learner): Promise<void> {
  client.forceOffline();
  const { userId, courseId, enrollmentId, progressId } = learner;
  const note = async (entityType: string, op: string, writing: Promise<Written['write']>): Promise<void> => {
    written.push({ entityType, op, write: await writing });
  };
  for (let page = 1; page <= STATEMENTS_PER_DEVICE; page += 1) {
    const id = randomUUID();
    await note(
      'statement',
      'append',
      client.entity('statement').append(statement(id, learner, page), { id }),
    );
  }
  const percent = name === 'phone' ? 40 : 65;
  const progress = { userId, courseId, percent, status: 'in_progress', lastPage: `page-${percent}` };
  await note('progress', 'put', client.entity('progress').put(progressId, progress));
  const text = `Written on the ${name}, between two islands.`;
  const noteId = `note-${name}-${courseId}`;
  await note('note', 'put', client.entity('note').put(noteId, { userId, courseId, text }));
  if (name !== 'tablet') return;
  const withdrawal = { userId, courseId, status: 'withdrawn' };
  const scope = `user:${userId}`;
  await note('enrollment', 'put', client.entity('enrollment').put(enrollmentId, withdrawal, { scope }));
}

/** Online again, until each write has its outcome. */
async function comeBack({ device: { client }, written }: Named): Promise<void> {
  client.forceOffline(false);
  const signal = AbortSignal.timeout(CONVERGENCE_LIMIT_MS);
  for (const { write } of written) {
    await write.wait('applied', { signal }).catch((error: unknown) => {
      if (!(error instanceof SyncError)) throw new MainJobError('a write has no outcome', { cause: error });
    });
  }
}

function statement(statementId: string, learner: Learner, page: number): Record<string, unknown> {
  return {
    id: statementId,
    verb: { id: 'http://adlnet.gov/expapi/verbs/experienced', display: { 'en-US': 'experienced' } },
    object: {
      objectType: 'Activity',
      id: `https://courses.example/${learner.courseId}/pages/${page}`,
      definition: { name: { 'en-US': `Lesson page ${page}` } },
    },
    result: { duration: `PT${20 + page}S`, completion: true },
    timestamp: new Date().toISOString(),
  };
}

/** Nothing is left in an outbox, and all digests are those of the server. */
async function converge(devices: readonly Named[]): Promise<void> {
  await within('the devices converge with the server', async () => {
    const states = await Promise.all(devices.map(({ device }) => device.settledState()));
    return states[0] !== null && new Set(states).size === 1;
  });
}

async function within(what: string, attempt: () => Promise<boolean>): Promise<void> {
  try {
    await until(what, attempt, { limitMs: CONVERGENCE_LIMIT_MS, pauseMs: 20 });
  } catch (cause) {
    throw new MainJobError(`it did not come about that ${what}`, { cause });
  }
}

/** Everything was answered once with a final outcome, and only the forbidden withdrawal was refused. */
async function checkOutcomes(devices: readonly Named[]): Promise<void> {
  for (const { name, device, written } of devices) {
    for (const { entityType, write } of written) {
      const status = write.outcome?.status ?? 'no outcome';
      const expected = entityType === 'enrollment' ? ['rejected'] : ['applied', 'merged', 'superseded'];
      if (!expected.includes(status)) {
        throw new MainJobError(`${entityType}/${write.entityId} of the ${name} ended as ${status}`);
      }
    }
    const statements = (await device.client.entity('statement').load()).list().length;
    const wanted = devices.length * STATEMENTS_PER_DEVICE;
    if (statements !== wanted) {
      throw new MainJobError(`the ${name} holds ${statements} statements instead of ${wanted}`);
    }
  }
}
