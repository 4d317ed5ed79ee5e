import { type SeededRandom, seedOf, seededRandom } from './seeded-random.ts';

/** A course as the platform's data has it. */
export interface Course {
  readonly courseId: string;
  readonly title: string;
  /** Words that its texts are about. */
  readonly topics: readonly string[];
  readonly pages: number;
}

/** Courses that people take where there is no network: the reason for this platform. */
export const COURSES: readonly Course[] = [
  {
    courseId: 'first-aid',
    title: 'First aid at work',
    topics: [
      'a fracture',
      'a burn',
      'the recovery position',
      'an unconscious person',
      'a deep cut',
      'heat stroke',
    ],
    pages: 12,
  },
  {
    courseId: 'solar-pumps',
    title: 'Solar water pumps: installing and keeping them',
    topics: [
      'the controller',
      'a dry run',
      'the suction pipe',
      'a shaded panel',
      'the float switch',
      'the borehole',
    ],
    pages: 18,
  },
  {
    courseId: 'midwifery-basics',
    title: 'Basics of midwifery',
    topics: [
      'the first examination',
      'blood pressure',
      'the birth plan',
      'early warning signs',
      'breastfeeding',
    ],
    pages: 24,
  },
  {
    courseId: 'ship-safety',
    title: 'Safety on board',
    topics: [
      'the muster list',
      'a life raft',
      'an engine room fire',
      'the bridge',
      'enclosed spaces',
      'the alarm',
    ],
    pages: 16,
  },
  {
    courseId: 'reading-together',
    title: 'Reading together: lessons for the first two years',
    topics: ['a picture book', 'the first letters', 'reading aloud', 'a quiet child', 'a story of their own'],
    pages: 20,
  },
  {
    courseId: 'forest-inventory',
    title: 'Forest inventory in the field',
    topics: [
      'the sample plot',
      'a leaning tree',
      'the calliper',
      'crown cover',
      'a field sheet',
      'dead wood',
    ],
    pages: 14,
  },
];

const SENTENCES: readonly ((topic: string, other: string, count: number) => string)[] = [
  (topic) => `Before you think about ${topic}, look around and make sure that nobody is in danger.`,
  (topic, other) => `Most mistakes with ${topic} begin with ${other}, and most of them can be seen in time.`,
  (topic, _other, count) => `Count to ${count}, then look at ${topic} again and write down what has changed.`,
  (topic) => `Ask a colleague to describe ${topic} in their own words; where they stop, the lesson starts.`,
  (topic, other) =>
    `Keep ${topic} and ${other} apart in your notes, because later nobody remembers which came first.`,
  (_topic, other, count) =>
    `In ${count} of a hundred reports ${other} is missing, which makes the rest hard to use.`,
  (topic) =>
    `There is no rule for ${topic} that holds everywhere: the place, the weather and the people decide.`,
  (topic, other) => `If ${topic} worries you more than ${other}, say so early and say it twice.`,
  (topic, _other, count) =>
    `Practise with ${topic} for ${count} minutes a day; a week later your hands know it.`,
  (topic, other) => `What helps with ${topic} can do harm with ${other}, so check which of the two it is.`,
];

/**
 * A text of a course, in paragraphs, always the same for the same seed.
 * @param words at least this many
 */
export function courseText(course: Course, seed: number, words: number): string {
  const random = seededRandom(seedOf(seed, course.courseId.length + course.pages));
  const paragraphs: string[] = [];
  for (let count = 0; count < words;) {
    const paragraph = Array.from({ length: random.between(3, 6) }, () => sentence(course, random)).join(' ');
    paragraphs.push(paragraph);
    count += paragraph.split(' ').length;
  }
  return paragraphs.join('\n\n');
}

function sentence(course: Course, random: SeededRandom): string {
  return random.pick(SENTENCES)(
    random.pick(course.topics),
    random.pick(course.topics),
    random.between(2, 90),
  );
}

/** The note that a learner takes while reading: one sentence of the course. */
export function noteText(course: Course, seed: number, n: number): string {
  return sentence(course, seededRandom(seedOf(seed, n)));
}

/** The manifest of a course's files, as the entity type `bundle` has it. */
export function bundleOf(course: Course): {
  courseId: string;
  title: string;
  files: { path: string; sha256: string; bytes: number }[];
} {
  const random = seededRandom(seedOf(1, course.pages));
  const files = Array.from({ length: course.pages }, (_, index) => ({
    path: `pages/${String(index + 1).padStart(3, '0')}.html`,
    sha256: Array.from({ length: 64 }, () => random.between(0, 15).toString(16)).join(''),
    bytes: random.between(2_000, 90_000),
  }));
  return { courseId: course.courseId, title: course.title, files };
}
