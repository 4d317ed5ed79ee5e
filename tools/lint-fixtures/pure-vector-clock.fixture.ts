// lint as: libs/vector-clock/src/depends-on-something.ts
export { decide } from '@sync/domain'; // expect: @nx/enforce-module-boundaries
export { LIMITS } from '@sync/protocol'; // expect: @nx/enforce-module-boundaries
export * from './vector-clock.ts'; // expect: no-restricted-syntax
