import { COURSES, type Course, noteText } from './course-texts.ts';
import { type SeededRandom, seedOf, seededRandom } from './seeded-random.ts';

/** An xAPI 1.0.3 statement as a device makes it: without the actor, which the server stamps. */
export interface GeneratedStatement {
  readonly id: string;
  readonly verb: { readonly id: string; readonly display: Readonly<Record<string, string>> };
  readonly object: {
    readonly objectType: 'Activity';
    readonly id: string;
    readonly definition: {
      readonly type: string;
      readonly name: Readonly<Record<string, string>>;
    };
  };
  readonly result?: {
    readonly score?: {
      readonly scaled: number;
      readonly raw: number;
      readonly min: number;
      readonly max: number;
    };
    readonly success?: boolean;
    readonly completion?: boolean;
    readonly response?: string;
    readonly duration?: string;
  };
  readonly context: {
    readonly registration: string;
    readonly platform: string;
    readonly language: string;
    readonly contextActivities: {
      readonly parent: readonly { readonly id: string }[];
      readonly grouping: readonly { readonly id: string }[];
    };
  };
  readonly timestamp: string;
}

type Happening =
  'experienced' | 'progressed' | 'answered' | 'attempted' | 'passed' | 'failed' | 'completed' | 'commented';

const VERBS = 'http://adlnet.gov/expapi/verbs/';
const ACTIVITIES = 'http://adlnet.gov/expapi/activities/';
const HOME = 'https://courses.sync.local';

/** How often each happens: mostly pages are read and questions answered. */
const MIX: readonly Happening[] = [
  ...Array<Happening>(9).fill('experienced'),
  ...Array<Happening>(6).fill('answered'),
  ...Array<Happening>(2).fill('progressed'),
  'attempted',
  'commented',
  'passed',
  'failed',
  'completed',
];

/** Statement times go on from here, about a minute apart. */
const START_MS = Date.UTC(2026, 0, 12, 8);
const STEP_MS = 60_000;

/**
 * Statement `n` of a learner's series: the same for the same seed, and independent of the others.
 * @param course one of {@link COURSES}, by the seed when not given
 */
export function generateStatement(seed: number, n: number, course?: Course): GeneratedStatement {
  const learner = seededRandom(seedOf(seed, 0));
  const taken = course ?? learner.pick(COURSES);
  const registration = learner.uuid();
  const random = seededRandom(seedOf(seed, n + 1));
  const happening = random.pick(MIX);
  const page = random.between(1, taken.pages);
  const result = resultOf(happening, random, noteText(taken, seed, n));
  return {
    id: random.uuid(),
    verb: { id: `${VERBS}${happening}`, display: { 'en-US': happening } },
    object: objectOf(happening, taken, page, random),
    ...(result && { result }),
    context: {
      registration,
      platform: 'sync-service reference player',
      language: 'en-US',
      contextActivities: {
        parent: [{ id: `${HOME}/${taken.courseId}/pages/${page}` }],
        grouping: [{ id: `${HOME}/${taken.courseId}` }],
      },
    },
    timestamp: new Date(START_MS + n * STEP_MS + random.between(0, STEP_MS - 1)).toISOString(),
  };
}

/** The first `count` statements of a series. */
export function generateStatements(seed: number, count: number, course?: Course): GeneratedStatement[] {
  return Array.from({ length: count }, (_, n) => generateStatement(seed, n, course));
}

function objectOf(
  happening: Happening,
  course: Course,
  page: number,
  random: SeededRandom,
): GeneratedStatement['object'] {
  const base = `${HOME}/${course.courseId}`;
  const activity = (id: string, type: string, name: string): GeneratedStatement['object'] => ({
    objectType: 'Activity',
    id,
    definition: { type: `${ACTIVITIES}${type}`, name: { 'en-US': name } },
  });
  switch (happening) {
    case 'answered': {
      const question = random.between(1, 5);
      const name = `What do you know about ${random.pick(course.topics)}?`;
      return activity(`${base}/pages/${page}/questions/${question}`, 'cmi.interaction', name);
    }
    case 'attempted':
    case 'passed':
    case 'failed':
      return activity(`${base}/assessment`, 'assessment', `${course.title}: assessment`);
    case 'completed':
    case 'progressed':
      return activity(base, 'course', course.title);
    case 'experienced':
    case 'commented':
      return activity(`${base}/pages/${page}`, 'lesson', `${course.title}, page ${page}`);
  }
}

function resultOf(happening: Happening, random: SeededRandom, comment: string): GeneratedStatement['result'] {
  const duration = `PT${random.between(0, 14)}M${random.between(1, 59)}S`;
  const scoreOf = (raw: number): { scaled: number; raw: number; min: number; max: number } => ({
    scaled: raw / 100,
    raw,
    min: 0,
    max: 100,
  });
  switch (happening) {
    case 'experienced':
      return { duration };
    case 'answered':
      return { success: random.next() < 0.7, response: random.pick(['a', 'b', 'c', 'd']), duration };
    case 'passed':
      return { score: scoreOf(random.between(70, 100)), success: true, completion: true, duration };
    case 'failed':
      return { score: scoreOf(random.between(0, 69)), success: false, completion: true, duration };
    case 'completed':
      return { completion: true, duration };
    case 'commented':
      return { response: comment };
    case 'attempted':
    case 'progressed':
      return undefined;
  }
}
