import { PLATFORM_TENANT } from '@sync/protocol';
import {
  type ConfigOf,
  FAULT_INJECTION_OPTION,
  readConfig,
  SEAL_OPTIONS,
  SERVICE_OPTIONS,
} from '@sync/service-kit';
import { readOrigins } from './edge/origins.ts';

/** Everything that can be set from outside; the names in `env` are the only contract with deployments. */
const OPTIONS = {
  ...SERVICE_OPTIONS,
  ...SEAL_OPTIONS,
  databasePoolSize: { ...SERVICE_OPTIONS.databasePoolSize, default: 20 },
  databaseAnswerMs: {
    env: 'DATABASE_ANSWER_MS',
    type: 'int',
    default: 8_000,
    min: 100,
    max: 30_000,
    desc: 'how long a request waits for an answer of Postgres before it is answered 503',
  },
  requestLimitMs: {
    env: 'REQUEST_LIMIT_MS',
    type: 'int',
    default: 20_000,
    min: 100,
    max: 60_000,
    desc: 'after this long, and a long poll’s waitMs, a request without an answer is answered 503',
  },
  identityUrl: { env: 'IDENTITY_URL', type: 'string', desc: 'base URL of the identity service (JWKS)' },
  tokenIssuer: {
    env: 'TOKEN_ISSUER',
    type: 'string',
    default: 'https://identity.sync.local',
    desc: 'pinned `iss` of access tokens',
  },
  tokenAudience: {
    env: 'TOKEN_AUDIENCE',
    type: 'string',
    default: 'sync-service',
    desc: 'pinned `aud` of access tokens',
  },
  platformTenant: {
    env: 'PLATFORM_TENANT',
    type: 'string',
    default: PLATFORM_TENANT,
    desc: 'the tenant of those who run the platform: the role sync-operator counts in its tokens only',
  },
  serviceRightsFile: {
    env: 'SERVICE_RIGHTS_FILE',
    type: 'string',
    optional: true,
    requiredInProduction: true,
    desc:
      'JSON file with what each service may register; without it the first to register an entity type owns ' +
      'it, which is for development',
  },
  identityGraceHours: {
    env: 'IDENTITY_GRACE_HOURS',
    type: 'int',
    default: 24,
    min: 0,
    max: 720,
    desc: 'hours for which devices go on by their last verification while the identity service does not answer',
  },
  corsOrigins: {
    env: 'CORS_ORIGINS',
    type: 'string',
    optional: true,
    desc:
      'origins whose pages may read answers, separated by commas, such as https://app.example.com; ' +
      'a * as the port is any port; default: none',
  },
  faultInjection: FAULT_INJECTION_OPTION,
  cursorSecret: {
    env: 'CURSOR_SECRET',
    type: 'string',
    optional: true,
    desc: 'key of the cursor tokens, the same on all replicas; default: one kept in the database',
  },
  maxWaitingPulls: {
    env: 'MAX_WAITING_PULLS',
    type: 'int',
    default: 20_000,
    min: 1,
    desc: 'long polls that wait at once in one replica',
  },
  maxUnprovenConnections: {
    env: 'MAX_UNPROVEN_CONNECTIONS',
    type: 'int',
    default: 10_000,
    min: 1,
    desc: 'connections of one address on which nobody was let in yet; more are answered 503',
  },
  maxSockets: {
    env: 'MAX_SOCKETS',
    type: 'int',
    default: 50_000,
    min: 1,
    desc: 'live sockets of one replica',
  },
  tombstoneDays: {
    env: 'TOMBSTONE_DAYS',
    type: 'int',
    default: 30,
    min: 1,
    max: 3650,
    desc: 'days a deletion is kept for devices that have not seen it; older cursors resync',
  },
  ownerTimeoutMs: {
    env: 'OWNER_TIMEOUT_MS',
    type: 'int',
    default: 3_000,
    min: 10,
    max: 5_000,
    desc:
      'how long a push waits for an owning service before its mutations are accepted and retried in the ' +
      'background',
  },
  pushTakeoverMs: {
    env: 'PUSH_TAKEOVER_MS',
    type: 'int',
    // A push's budget and one owner's longest time-out together; taking over sooner is safe, but asks owners
    // twice.
    default: 14_000,
    min: 100,
    max: 60_000,
    desc:
      'after this long the dispatcher takes over what a push has not finished: its replica has probably ' +
      'died',
  },
  giveUpAfterHours: {
    env: 'GIVE_UP_AFTER_HOURS',
    type: 'int',
    default: 24,
    min: 1,
    max: 24 * 25,
    desc:
      'hours for which a push handler may fail at one mutation while it answers others; then a person ' +
      'decides about it',
  },
  ledgerDays: {
    env: 'LEDGER_DAYS',
    type: 'int',
    default: 180,
    min: 31,
    max: 3650,
    desc: 'days an outcome is kept for devices that push the same mutation again',
  },
  mutationEvents: {
    env: 'MUTATION_EVENTS',
    type: 'bool',
    default: false,
    desc: 'sends sync.mutation.applied.v1, rejected and accepted as well, which list every mutation',
  },
  maxRequestsAtWork: {
    env: 'MAX_REQUESTS_AT_WORK',
    type: 'int',
    default: 128,
    min: 1,
    max: 10_000,
    desc: 'requests that one replica works on at once; others wait in line, tenants in turn',
  },
  maxRequestsInLine: {
    env: 'MAX_REQUESTS_IN_LINE',
    type: 'int',
    default: 2_000,
    min: 1,
    max: 100_000,
    desc: 'requests that wait in line; beyond, the tenant with most of them is answered 429',
  },
  deviceWorkMsPerSecond: {
    env: 'DEVICE_WORK_MS_PER_SECOND',
    type: 'int',
    default: 100,
    min: 1,
    max: 1_000_000,
    desc: 'milliseconds of one replica’s work that a device may cause in a second; more is answered 429',
  },
  deviceWorkBurstMs: {
    env: 'DEVICE_WORK_BURST_MS',
    type: 'int',
    default: 30_000,
    min: 1,
    max: 10_000_000,
    desc: 'milliseconds of work that a device may cause at once after a time of rest',
  },
  userWorkMsPerSecond: {
    env: 'USER_WORK_MS_PER_SECOND',
    type: 'int',
    default: 200,
    min: 1,
    max: 1_000_000,
    desc: 'milliseconds of one replica’s work that a user may cause in a second; more is answered 429',
  },
  userWorkBurstMs: {
    env: 'USER_WORK_BURST_MS',
    type: 'int',
    default: 60_000,
    min: 1,
    max: 10_000_000,
    desc: 'milliseconds of work that a user may cause at once after a time of rest',
  },
  tenantWorkMsPerSecond: {
    env: 'TENANT_WORK_MS_PER_SECOND',
    type: 'int',
    default: 2_000,
    min: 1,
    max: 1_000_000,
    desc: 'milliseconds of one replica’s work that a tenant may cause in a second; more is answered 429',
  },
  tenantWorkBurstMs: {
    env: 'TENANT_WORK_BURST_MS',
    type: 'int',
    default: 120_000,
    min: 1,
    max: 10_000_000,
    desc: 'milliseconds of work that a tenant may cause at once after a time of rest',
  },
  shedLoopDelayMs: {
    env: 'SHED_LOOP_DELAY_MS',
    type: 'int',
    default: 2_000,
    min: 20,
    max: 60_000,
    desc: 'mean delay of the event loop from which on admin requests are answered 503; others at a multiple',
  },
  shedPoolWaitMs: {
    env: 'SHED_POOL_WAIT_MS',
    type: 'int',
    default: 2_000,
    min: 20,
    max: 60_000,
    desc: 'the same for the mean wait for a connection to Postgres',
  },
  answerReadMs: {
    env: 'ANSWER_READ_MS',
    type: 'int',
    default: 60_000,
    min: 100,
    max: 600_000,
    desc: 'how long a client may take to read a short answer before its connection is closed',
  },
  answerReadBytesPerSecond: {
    env: 'ANSWER_READ_BYTES_PER_SECOND',
    type: 'int',
    default: 8_192,
    min: 1,
    max: 1_000_000_000,
    desc: 'a long answer has as much more time as it needs at this pace',
  },
  maxPushesInFlight: {
    env: 'MAX_PUSHES_IN_FLIGHT',
    type: 'int',
    default: 256,
    min: 1,
    desc: 'pushes that one replica works on at once; more are answered 503',
  },
} as const;

export type GatewayConfig = ConfigOf<typeof OPTIONS>;

/** @throws ConfigError naming every missing or malformed variable */
export function readGatewayConfig(env: Readonly<Record<string, string | undefined>>): GatewayConfig {
  const config = readConfig(OPTIONS, env);
  readOrigins(config.corsOrigins);
  return config;
}
