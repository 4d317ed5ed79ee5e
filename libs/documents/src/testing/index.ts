export { HarmError, attackDocument } from './attack-document.ts';
export type { AttackReport } from './attack-document.ts';
export { HOSTILE_KINDS, endlessV2Update, hostileUpdate, varUint } from './hostile-updates.ts';
export { hostileWorld } from './hostile-world.ts';
export type { HostileWorld } from './hostile-world.ts';
export { SeededRandom } from './seeded-random.ts';
