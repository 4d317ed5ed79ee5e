import { together } from '../../tools/jest/together.mjs';

// Without the laws: random histories for every mutant take long, and what the tables leave alive counts.
export default together(import.meta.url, (path) => !path.endsWith('-laws.test.ts'));
