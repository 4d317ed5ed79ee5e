import type { OpenDevice } from './work.ts';

export function openTanstack(tanstack: object, database: object, outbox: object): Promise<OpenDevice>;
