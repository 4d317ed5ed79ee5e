import { createHash, randomUUID } from 'node:crypto';
import { DriverDevice, type PlatformUrls, bindDevice, changeOnServer } from '@sync/e2e-device';
import type { LocalMutation } from '@sync/protocol';
import { type Printer, Steps, digestTable, mutationTable } from './report.ts';

const TENANT = 'acme';
const STATEMENTS_PER_DEVICE = 20;
const CONVERGENCE_LIMIT_MS = 20_000;

export interface MainJobOptions {
  readonly urls: PlatformUrls;
  readonly out: Printer;
}

interface Learner {
  readonly userId: string;
  readonly courseId: string;
  readonly enrollmentId: string;
  readonly progressId: string;
}

interface NamedDevice {
  readonly name: string;
  readonly device: DriverDevice;
  readonly written: LocalMutation[];
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
  await steps.time('both go offline and learn on: statements, progress, a note each', () => {
    for (const named of devices) learnOffline(named, learner);
    return Promise.resolve();
  });
  await steps.time('meanwhile the clerk sets the enrolment to completed', () =>
    changeOnServer(urls.learning, TENANT, 'enrollment', learner.enrollmentId, {
      userId: learner.userId,
      courseId: learner.courseId,
      status: 'completed',
    }),
  );
  for (const { name, device } of devices) {
    await steps.time(`the ${name} is back and pushes ${device.outbox.length} mutations`, () => device.push());
  }
  await steps.time('both pull until they agree with the server', () => converge(devices));
  out(mutationTable(devices));
  out(digestTable(devices));
  steps.print();
  checkOutcomes(devices);
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

async function bind(urls: PlatformUrls, learner: Learner, name: string): Promise<NamedDevice> {
  const credentials = await bindDevice(urls, TENANT, learner.userId);
  return { name, device: new DriverDevice(urls.gateway, credentials), written: [] };
}

async function waitForBundle({ name, device }: NamedDevice, learner: Learner): Promise<void> {
  const deadlineMs = Date.now() + CONVERGENCE_LIMIT_MS;
  const course = `course:${learner.courseId}`;
  while (!device.scopes.get(course)?.entities.has(`bundle/bundle-${learner.courseId}`)) {
    if (Date.now() > deadlineMs) throw new MainJobError(`the bundle did not reach the ${name}`);
    await device.sync();
    if (!device.scopes.has(course)) await device.pullOnce({ waitMs: 200 });
  }
}

/**
 * Both devices write the same progress, so that the later one wins field by field; the tablet also tries what
 * only the server may decide.
 */
function learnOffline({ name, device, written }: NamedDevice, learner: Learner): void {
  const scope = `user:${learner.userId}`;
  for (let page = 1; page <= STATEMENTS_PER_DEVICE; page += 1) {
    const statementId = randomUUID();
    written.push(
      device.write({
        scope,
        entityType: 'statement',
        entityId: statementId,
        op: 'append',
        data: statement(statementId, learner, page),
      }),
    );
  }
  const percent = name === 'phone' ? 40 : 65;
  const progress = {
    userId: learner.userId,
    courseId: learner.courseId,
    percent,
    status: 'in_progress',
    lastPage: `page-${percent}`,
  };
  written.push(
    device.write({ scope, entityType: 'progress', entityId: learner.progressId, op: 'put', data: progress }),
  );
  const note = {
    userId: learner.userId,
    courseId: learner.courseId,
    text: `Written on the ${name}, between two islands.`,
  };
  written.push(
    device.write({
      scope,
      entityType: 'note',
      entityId: `note-${name}-${learner.courseId}`,
      op: 'put',
      data: note,
    }),
  );
  if (name === 'tablet') {
    const withdrawal = { userId: learner.userId, courseId: learner.courseId, status: 'withdrawn' };
    written.push(
      device.write({
        scope,
        entityType: 'enrollment',
        entityId: learner.enrollmentId,
        op: 'put',
        data: withdrawal,
      }),
    );
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

async function converge(devices: readonly NamedDevice[]): Promise<void> {
  const deadlineMs = Date.now() + CONVERGENCE_LIMIT_MS;
  for (;;) {
    for (const { device } of devices) await device.sync();
    if (devices.every(agrees) && sameState(devices)) return;
    if (Date.now() > deadlineMs) throw new MainJobError('the devices did not converge with the server');
    await devices[0]?.device.pullOnce({ waitMs: 250 });
  }
}

function agrees({ device, written }: NamedDevice): boolean {
  const applied = written.every((mutation) => holdsWrite(device, mutation));
  const digests = [...device.scopes.values()].every(
    ({ digest, serverDigest }) => digest.hash === serverDigest?.hash && digest.count === serverDigest.count,
  );
  return applied && digests;
}

/**
 * A pending change is over when its entity's clock contains it, or when its outcome says that it was not
 * taken.
 */
function holdsWrite(device: DriverDevice, mutation: LocalMutation): boolean {
  const status = device.outcomes.get(mutation.mutationId)?.status;
  if (status === undefined || status === 'accepted') return false;
  if (status !== 'applied' && status !== 'merged') return true;
  const held = device.scopes.get(mutation.scope)?.entities.get(`${mutation.entityType}/${mutation.entityId}`);
  return (held?.clock[`d:${device.credentials.deviceId}`] ?? 0) > 0;
}

function sameState(devices: readonly NamedDevice[]): boolean {
  const states = devices.map(({ device }) =>
    [...device.scopes]
      .map(([scope, replica]) => `${scope}=${replica.digest.hash}`)
      .sort()
      .join(' '),
  );
  return new Set(states).size === 1;
}

/** Everything was answered once with a final outcome, and only the forbidden withdrawal was refused. */
function checkOutcomes(devices: readonly NamedDevice[]): void {
  for (const { name, device, written } of devices) {
    for (const mutation of written) {
      const status = device.outcomes.get(mutation.mutationId)?.status ?? 'no outcome';
      const expected =
        mutation.entityType === 'enrollment' ? ['rejected'] : ['applied', 'merged', 'superseded'];
      if (!expected.includes(status)) {
        throw new MainJobError(
          `${mutation.entityType}/${mutation.entityId} of the ${name} ended as ${status}`,
        );
      }
    }
    const statements = [...device.scopes.values()].flatMap((replica) =>
      [...replica.entities.values()].filter((delta) => delta.entityType === 'statement'),
    );
    const wanted = devices.length * STATEMENTS_PER_DEVICE;
    if (statements.length !== wanted) {
      throw new MainJobError(`the ${name} holds ${statements.length} statements instead of ${wanted}`);
    }
  }
}
