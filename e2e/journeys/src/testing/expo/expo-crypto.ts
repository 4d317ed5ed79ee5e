/** As much of `expo-crypto` as the quickstart uses. */
export { randomUUID } from 'node:crypto';
