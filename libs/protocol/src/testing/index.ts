export { HOSTILE_TEXTS, outgrowsItsInput } from './hostile-texts.ts';
