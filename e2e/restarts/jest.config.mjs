import { preset } from '../../tools/jest/preset.mjs';

export default preset(import.meta.url, { testTimeout: 600_000, maxWorkers: 1 });
