/** Injection tokens; what they stand for is built in main.ts. */
export const LOGGER = Symbol('logger');
export const DATABASE = Symbol('database');
