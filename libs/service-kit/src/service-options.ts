import { HTTP_BOUNDS } from './http-server.ts';
import type { ConfigOption } from './read-config.ts';

/**
 * What every process with an HTTP port, a database and NATS is told from outside: the beginning of its
 * `config.ts`.
 */
export const SERVICE_OPTIONS = {
  port: { env: 'PORT', type: 'port', default: 0, desc: 'HTTP port; 0 takes a free one' },
  opsPort: {
    env: 'OPS_PORT',
    type: 'port',
    default: 0,
    desc: 'port of health and metrics, for operators only; 0 takes a free one',
  },
  host: { env: 'HOST', type: 'string', default: '127.0.0.1', desc: 'address to listen on' },
  headersArrivalMs: {
    env: 'HEADERS_ARRIVAL_MS',
    type: 'int',
    default: HTTP_BOUNDS.headersArrivalMs,
    min: 100,
    max: 300_000,
    desc: 'how long the line and fields of a request may take to arrive',
  },
  requestArrivalMs: {
    env: 'REQUEST_ARRIVAL_MS',
    type: 'int',
    default: HTTP_BOUNDS.requestArrivalMs,
    min: 100,
    max: 600_000,
    desc: 'how long a whole request, with its body, may take to arrive',
  },
  maxConnections: {
    env: 'MAX_CONNECTIONS',
    type: 'int',
    default: HTTP_BOUNDS.maxConnections,
    min: 1,
    desc: 'HTTP connections of one replica; more are closed as they come',
  },
  drainReadinessMs: {
    env: 'DRAIN_READINESS_MS',
    type: 'int',
    default: 5_000,
    max: 300_000,
    desc:
      'how long a stopping process works on after it has said that it is not ready, for balancers to ' +
      'notice',
  },
  natsUrl: {
    env: 'NATS_URL',
    type: 'string',
    desc: 'nats://host:port or tls://host:port; servers of a cluster separated by commas',
  },
  natsUser: { env: 'NATS_USER', type: 'string', optional: true, desc: 'user of the process in NATS' },
  natsPassword: { env: 'NATS_PASSWORD', type: 'string', optional: true, desc: 'password of that user' },
  natsNkeySeed: {
    env: 'NATS_NKEY_SEED',
    type: 'string',
    optional: true,
    desc: 'seed (SU…) of the nkey that the process has in NATS; instead of user and password',
  },
  natsReplicas: {
    env: 'NATS_REPLICAS',
    type: 'int',
    default: 1,
    min: 1,
    max: 5,
    desc: 'replicas of each stream: 3 in a cluster; streams that have more keep them',
  },
  databaseUrl: { env: 'DATABASE_URL', type: 'string', desc: 'Postgres as the app role' },
  databaseOwnerUrl: {
    env: 'DATABASE_OWNER_URL',
    type: 'string',
    optional: true,
    desc: 'Postgres as the owner role; when set, migrations run at start',
  },
  migrateAndExit: {
    env: 'MIGRATE_AND_EXIT',
    type: 'bool',
    default: false,
    desc: 'brings the database to the schema of this build as the owner role, and ends',
  },
  databasePoolSize: {
    env: 'DATABASE_POOL_SIZE',
    type: 'int',
    default: 8,
    min: 2,
    max: 500,
    desc: 'Postgres connections of one replica',
  },
  logLevel: { env: 'LOG_LEVEL', type: 'string', default: 'info', desc: 'pino level' },
} as const satisfies Readonly<Record<string, ConfigOption>>;
