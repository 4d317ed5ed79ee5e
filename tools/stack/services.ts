/** The processes of the whole platform, as data. */

/** One process of the stack. */
export interface ServiceDefinition {
  /** Its key in the stack's `urls` and `pids`. */
  readonly name: string;
  /** Folder name of the app, another way to call it. */
  readonly app: string;
  /** Compiled main module, relative to the workspace. */
  readonly entry: string;
  /** Its own database; the roles are called after it. */
  readonly database: string;
  /** Its database has secrets in it, which it seals with master keys (ADR 0046). */
  readonly sealsKeys?: true;
}

const app = (name: string, folder: string): ServiceDefinition => ({
  name,
  app: folder,
  entry: `apps/${folder}/dist/main.js`,
  database: folder.replaceAll('-', '_'),
});

/** A service of the reference platform: what a company would run beside our four. */
const platform = (name: string): ServiceDefinition => ({
  name,
  app: name,
  entry: `e2e/platform/dist/${name}/main.js`,
  database: name,
});

export const SERVICES: readonly ServiceDefinition[] = [
  { ...app('gateway', 'sync-gateway'), sealsKeys: true },
  app('projector', 'delta-projector'),
  app('resolver', 'conflict-resolver'),
  app('health', 'device-health'),
  { ...platform('identity'), sealsKeys: true },
  platform('learning'),
  platform('authoring'),
  platform('analytics'),
];
