export { stop as default } from './jest-global-setup.mjs';
