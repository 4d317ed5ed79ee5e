/** The platform's data, for journeys and benches. Its services are started as processes. */
export { COURSES, bundleOf, courseText, noteText } from './data/course-texts.ts';
export type { Course } from './data/course-texts.ts';
export { seedOf, seededRandom } from './data/seeded-random.ts';
export type { SeededRandom } from './data/seeded-random.ts';
export { generateStatement, generateStatements } from './data/xapi-statements.ts';
export type { GeneratedStatement } from './data/xapi-statements.ts';
