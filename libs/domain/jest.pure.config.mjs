import { together } from '../../tools/jest/together.mjs';

// Without the laws and the class of 300 devices: thousands of random histories for every mutant take hours,
// and what the tables leave alive is the figure that counts.
export default together(import.meta.url, (path) => !/(-laws|\/class-of-devices)\.test\.ts$/.test(path));
