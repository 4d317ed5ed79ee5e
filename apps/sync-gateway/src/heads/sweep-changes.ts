import type { Database } from '@sync/postgres';
import type { Logger } from '@sync/service-kit';
import type { ExchangeHints } from './exchange-hints.ts';
import type { GatewayMemory, KnownDevice } from './gateway-memory.ts';
import type { News, PartitionIngest, ScopeKey, UserKey } from './gateway-news.ts';

interface ChangeRow {
  readonly kind: 'partition' | 'scope' | 'user' | 'device';
  readonly tenant_id: string | null;
  readonly name: string | null;
  readonly place: number | null;
  readonly number: string | null;
}

const SWEEP_TEXT = 'SELECT * FROM sweep_changes($1, $2, $3, $4, $5, $6, $7, $8, $9)';
const PAUSE_MS = 1_000;
/** More than this at once (a backfill) is not worth a list: everything is read again when it is asked for. */
const MAX_NAMES = 5_000;

export interface SweepOptions {
  readonly database: Pick<Database, 'call'>;
  readonly memory: GatewayMemory;
  readonly hints: Pick<ExchangeHints, 'tellHere'>;
  readonly logger: Logger;
  readonly listeners: {
    /** Whether a socket is open or a pull waits. */
    any(): boolean;
    /** Tenants that somebody listens for although nothing of them is in memory: those of live sockets. */
    tenants(): Iterable<string>;
  };
  /**
   * After each sweep that found the database. `looked`: the tenants whose changes it told of; those of all
   * others were passed over for good.
   */
  readonly afterSweep: (looked: ReadonlySet<string>) => void;
}

/**
 * Once a second, finds what changed behind this replica's back: hints between replicas may be lost, this may
 * not. One round trip, whose cost grows with what changed and with the devices in use, not with how many
 * scopes there are; none while nothing is in memory and nobody listens. Whoever comes then reads the database,
 * and what changed since then is found by the next sweep, because the counters stand where they stood.
 */
export class SweepChanges {
  readonly #options: SweepOptions;
  readonly #seen = new Map<number, string>();
  #looked = false;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(options: SweepOptions) {
    this.#options = options;
  }

  /** The first sweep has been made when it resolves. */
  async start(): Promise<void> {
    await this.#sweepAndPlan();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  /**
   * A hint listed everything of one ingest transaction. If none before it is missing, the sweep need not look
   * for it.
   */
  noteIngest({ partition, number }: PartitionIngest): void {
    const seen = this.#seen.get(partition) ?? '0';
    if (this.#looked && BigInt(seen) + 1n === BigInt(number)) this.#seen.set(partition, number);
  }

  /**
   * One look. @throws when the database does not answer: then nothing is confirmed, and the memory ages out
   */
  async sweep(): Promise<void> {
    const { database, memory, hints, listeners } = this.#options;
    const beganAtMs = performance.now();
    const devices = memory.devicesInUse(beganAtMs).sort(byTenant);
    const tenants = new Set([...memory.tenants(), ...listeners.tenants()]);
    const seen = new Map(this.#seen);
    const rows = await database.call<ChangeRow>('sweep_changes', SWEEP_TEXT, [
      [...seen.keys()],
      this.#looked ? [...seen.values()] : null,
      [...tenants].sort().join(','),
      MAX_NAMES + 1,
      ...groupByTenant(devices),
    ]);
    const news = this.#read(rows, devices, beganAtMs);
    // A counter that fell belongs to a database that was restored: what is in memory may never have been.
    const fell = [...seen].some(
      ([partition, number]) => BigInt(this.#seen.get(partition) ?? '0') < BigInt(number),
    );
    // What was read before the counters were known could have changed since.
    const isFirst = !this.#looked;
    this.#looked = true;
    hints.tellHere(fell || isFirst ? { everything: true } : news);
    memory.confirmSweep(beganAtMs, tenants);
    this.#options.afterSweep(tenants);
  }

  async #sweepAndPlan(): Promise<void> {
    try {
      if (this.#isNeeded()) {
        this.#running = this.sweep();
        await this.#running;
      }
    } catch (error) {
      this.#options.logger.warn(
        { err: error },
        'could not look for changes; pulls read the database meanwhile',
      );
    }
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#sweepAndPlan(), PAUSE_MS).unref();
  }

  #isNeeded(): boolean {
    const { memory, listeners } = this.#options;
    const { heads, devices } = memory.sizes;
    return !this.#looked || heads > 0 || devices > 0 || listeners.any();
  }

  #read(rows: readonly ChangeRow[], swept: readonly KnownDevice[], beganAtMs: number): News {
    const scopes: ScopeKey[] = [];
    const users: UserKey[] = [];
    const changed = new Set<number>();
    for (const { kind, tenant_id: tenantId, name, place, number } of rows) {
      // A hint may have moved it on while the sweep was under way; looking twice at a number is harmless.
      if (kind === 'partition') this.#seen.set(place ?? 0, number ?? '0');
      else if (kind === 'scope') scopes.push({ tenantId: tenantId ?? '', scope: name ?? '' });
      else if (kind === 'user') users.push({ tenantId: tenantId ?? '', userId: name ?? '' });
      else changed.add((place ?? 0) - 1);
    }
    const devices = swept.flatMap((known, place) => {
      if (changed.has(place)) return [known.device];
      known.checkedAtMs = beganAtMs;
      return [];
    });
    if (scopes.length > MAX_NAMES || users.length > MAX_NAMES) return { everything: true };
    return { scopes, users, devices };
  }
}

function byTenant(left: KnownDevice, right: KnownDevice): number {
  if (left.device.tenantId === right.device.tenantId) return 0;
  return left.device.tenantId < right.device.tenantId ? -1 : 1;
}

/**
 * @returns tenants, the last place of each (from 1), users, devices and fingerprints, as sweep_changes wants
 * them
 */
function groupByTenant(devices: readonly KnownDevice[]): [string[], number[], ...string[][]] {
  const tenants: string[] = [];
  const until: number[] = [];
  devices.forEach(({ device }, place) => {
    if (tenants.at(-1) !== device.tenantId) tenants.push(device.tenantId);
    until[tenants.length - 1] = place + 1;
  });
  return [
    tenants,
    until,
    devices.map(({ device }) => device.userId),
    devices.map(({ device }) => device.deviceId),
    devices.map(({ fingerprint }) => fingerprint),
  ];
}
