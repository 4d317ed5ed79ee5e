import { type ConfigOf, readConfig } from '@sync/service-kit';

/** Everything that can be set from outside. */
const OPTIONS = {
  port: {
    env: 'PORT',
    type: 'port',
    default: 0,
    desc: 'HTTP port of health and metrics; 0 takes a free one',
  },
  host: { env: 'HOST', type: 'string', default: '127.0.0.1', desc: 'address to listen on' },
  natsUrl: { env: 'NATS_URL', type: 'string', desc: 'nats://host:port' },
  databaseUrl: { env: 'DATABASE_URL', type: 'string', desc: 'Postgres as the app role' },
  databaseOwnerUrl: {
    env: 'DATABASE_OWNER_URL',
    type: 'string',
    optional: true,
    desc: 'Postgres as the owner role; when set, migrations run at start',
  },
  databasePoolSize: {
    env: 'DATABASE_POOL_SIZE',
    type: 'int',
    default: 8,
    min: 2,
    max: 500,
    desc: 'connections',
  },
  assessEverySeconds: {
    env: 'ASSESS_EVERY_SECONDS',
    type: 'int',
    default: 15,
    min: 1,
    max: 3600,
    desc: 'how often every device is judged again: silence is no event',
  },
  logLevel: { env: 'LOG_LEVEL', type: 'string', default: 'info', desc: 'pino level' },
} as const;

export type HealthConfig = ConfigOf<typeof OPTIONS>;

/** @throws ConfigError naming every missing or malformed variable */
export function readHealthConfig(env: Readonly<Record<string, string | undefined>>): HealthConfig {
  return readConfig(OPTIONS, env);
}
