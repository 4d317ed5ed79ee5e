import { preset } from '../../tools/jest/preset.mjs';

export default preset(import.meta.url, {
  collectCoverageFrom: ['src/**/*.ts', 'freeze/*.ts', '!freeze/lock-wire-schemas.ts'],
  coverageThreshold: { global: { lines: 95, branches: 95 } },
});
