import { preset } from '../../tools/jest/preset.mjs';

// The kit against the server in memory: no stack, and a Jest of its own.
export default preset(import.meta.url, { testTimeout: 600_000 });
