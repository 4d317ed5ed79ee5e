import { accessSync, constants, existsSync } from 'node:fs';

/** Whether there is a program at this path that may be started. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return existsSync(path);
  } catch {
    return false;
  }
}
