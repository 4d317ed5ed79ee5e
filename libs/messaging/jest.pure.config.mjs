import { together } from '../../tools/jest/together.mjs';

const PURE = ['consumer-lane', 'first-that-fit', 'grouped-calls', 'pacing', 'partition'];

export default together(import.meta.url, (path) => PURE.some((name) => path === `src/${name}.test.ts`));
