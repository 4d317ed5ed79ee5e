import { together } from '../../tools/jest/together.mjs';

export default together(import.meta.url, (path) => path === 'src/push/decide-push.test.ts');
