import { preset } from '../../tools/jest/preset.mjs';

export default preset(import.meta.url, {
  collectCoverage: true,
  collectCoverageFrom: ['<rootDir>/src/**/*.ts', '!<rootDir>/src/**/*.test.ts'],
  coverageDirectory: '<rootDir>/coverage',
  coverageThreshold: { global: { lines: 95, branches: 95, functions: 95, statements: 95 } },
});
