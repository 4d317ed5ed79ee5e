/** Injection tokens of the composition root. */
export const SIGNING_KEY = Symbol('SIGNING_KEY');
export const DEVICES = Symbol('DEVICES');
