import { preset } from '../../tools/jest/preset.mjs';

/** The checks of an owning service; `OWNER_JSON` says which one. */
export default preset(import.meta.url, { testMatch: ['<rootDir>/src/*.test.ts'], testTimeout: 60_000 });
