import { randomUUID } from 'node:crypto';
import type { NatsConnection } from '@nats-io/transport-node';
import { connectNats, request } from '@sync/messaging';
import { type RunningNats, startNats } from '@sync/messaging/testing';
import { type TestDatabase, createTestDatabase, startPostgres } from '@sync/postgres/testing';
import {
  type Suggestion,
  type SuggestionReply,
  type SuggestionSettings,
  type SuggestionSettingsReply,
  type SyncEvent,
  subjects,
} from '@sync/protocol';
import { Metrics, createLogger } from '@sync/service-kit';
import { APP_RIGHTS, MIGRATIONS, FUNCTIONS } from '../../database/schema.ts';
import type { AIConfig } from '../ai-config.ts';
import { startSuggestions } from '../start-suggestions.ts';
import { modelSuggestions } from '../take-suggestion.ts';
import { AIServer, takeTheirs } from './ai-server.ts';

export const SETTINGS: SuggestionSettings = {
  enabled: true,
  tokensPerDay: 1_000_000,
  costPerDayMicros: 1_000_000,
  redactFields: ['secret'],
  redactPatterns: ['\\S+@\\S+'],
};
/** The entity's state that suggestions are asked for. */
export const CLOCK = { 'd:b': 2, 's:learning': 1 };
const PRESENT = { clock: CLOCK, data: { percent: 60, note: 'server', secret: 's1', calm: 'kept at home' } };
/** Conflicting fields of a record: a number, a text, and one that is redacted. */
export const FIELDS = [
  { field: 'percent', ours: 60, theirs: 40, winner: 'open' },
  { field: 'note', ours: 'server', theirs: 'device', winner: 'open' },
  { field: 'secret', ours: 's1', theirs: 's2', winner: 'open' },
];
export const PERSON = {
  clock: CLOCK,
  decidedBy: { userId: 'u1', deviceId: 'd1' },
  nowIso: '2026-01-01T00:00:00.000Z',
};

/** Suggestions as the resolver runs them, on real Postgres and NATS, with an endpoint of our own. */
export class SuggestionRig {
  readonly test: TestDatabase;
  readonly ai: AIServer;
  /** Conflicts whose records were announced. */
  readonly announced: string[] = [];
  readonly #server: RunningNats;
  readonly #nats: NatsConnection;
  #running: { stop(): Promise<void> };

  private constructor(test: TestDatabase, ai: AIServer, server: RunningNats, nats: NatsConnection) {
    this.test = test;
    this.ai = ai;
    this.#server = server;
    this.#nats = nats;
    this.#running = this.#start(this.config);
  }

  static async start(): Promise<SuggestionRig> {
    const server = await startNats({ own: true });
    const nats = await connectNats({ url: server.url, name: 'test' });
    const test = await createTestDatabase({
      postgres: await startPostgres(),
      name: 'suggestions',
      migrations: MIGRATIONS,
      functions: FUNCTIONS,
      appRights: APP_RIGHTS,
    });
    return new SuggestionRig(test, await AIServer.start(), server, nats);
  }

  get config(): AIConfig {
    return {
      endpoint: {
        baseUrl: this.ai.baseUrl,
        apiKey: 'sk-test',
        model: 'asked',
        timeoutMs: 2_000,
        attempts: 1,
        maxPauseMs: 100,
        maxAnswerBytes: 100_000,
      },
      prices: { promptMicrosPer1k: 1_000, outputMicrosPer1k: 2_000 },
      parameters: { temperature: 0, max_tokens: 500 },
      parallel: 2,
    };
  }

  /**
   * Between tests: the model answers again, what was seen is forgotten, and no question of an earlier test is
   * asked any more.
   */
  async reset(): Promise<void> {
    await this.#running.stop();
    await this.test.database.call('test_forget_jobs', 'DELETE FROM suggestion_job', []);
    this.#running = this.#start(this.config);
    this.ai.behave = takeTheirs;
    this.ai.seen.length = 0;
    this.announced.length = 0;
  }

  /** Stops what runs, as a drain does, and starts it anew. */
  async restart(config: AIConfig | null = this.config): Promise<void> {
    await this.#running.stop();
    this.#running = this.#start(config);
  }

  put(tenantId: string, settings: SuggestionSettings): Promise<SuggestionSettingsReply> {
    const question = { tenantId, userId: 'admin', settings };
    return request(this.#nats, subjects.suggestionSettings, question, { timeoutMs: 5_000 });
  }

  settingsOf(tenantId: string): Promise<SuggestionSettingsReply> {
    return request(
      this.#nats,
      subjects.suggestionSettings,
      { tenantId, userId: 'admin' },
      { timeoutMs: 5_000 },
    );
  }

  async usageOf(tenantId: string): Promise<SuggestionSettingsReply['usage']> {
    return (await this.settingsOf(tenantId)).usage;
  }

  ask(tenantId: string, conflictId: string, changes: object = {}): Promise<SuggestionReply> {
    const question = { tenantId, userId: 'u1', deviceId: 'd1', conflictId, present: PRESENT, ...changes };
    return request(this.#nats, subjects.suggestionRequest, question, { timeoutMs: 5_000 });
  }

  /** An open conflict of a tenant of its own, unless named. */
  async openConflict(
    changes: { tenantId?: string; status?: string; fields?: readonly object[]; draft?: object } = {},
  ): Promise<{ tenantId: string; conflictId: string }> {
    const { tenantId = `t-${randomUUID()}`, status = 'open', fields = FIELDS, draft = {} } = changes;
    const conflictId = randomUUID();
    await this.test.database.inTenant(tenantId, (tx) =>
      tx.query(
        `INSERT INTO conflict_record (tenant_id, conflict_id, status, policy, entity_type, entity_id, scope, user_id,
           device_id, mutation_id, fields, draft, detected_at)
         VALUES ($1, $2, $3, 'lww', 'progress', 'p1', 'user:u1', 'u1', 'd1', $2, '{}', $4, now())`,
        [
          tenantId,
          conflictId,
          status,
          JSON.stringify({ base: null, theirs: { percent: 40 }, fields, ...draft }),
        ],
      ),
    );
    return { tenantId, conflictId };
  }

  /** An open conflict of a tenant that has suggestions. */
  async enabled(
    settings: Partial<SuggestionSettings> = {},
  ): Promise<{ tenantId: string; conflictId: string }> {
    const conflict = await this.openConflict();
    await this.put(conflict.tenantId, { ...SETTINGS, ...settings });
    return conflict;
  }

  async shown(tenantId: string, conflictId: string): Promise<readonly Suggestion[]> {
    const all = await this.test.database.inTenant(tenantId, (tx) =>
      modelSuggestions.list(tx, tenantId, [conflictId]),
    );
    return all.get(conflictId) ?? [];
  }

  /** What the platform is told about suggestions of the tenant, in order. */
  async told(tenantId: string): Promise<SyncEvent[]> {
    const rows = await this.test.database.transaction((tx) =>
      tx.query<{ payload: string }>(
        `SELECT payload FROM sync_outbox WHERE stream = 'SYNC_EVENTS' ORDER BY id`,
      ),
    );
    return rows
      .flatMap(({ payload }) => JSON.parse(payload) as SyncEvent[])
      .filter(({ tenantid }) => tenantid === tenantId);
  }

  /** The newest suggestion once it is no longer waited for. */
  async finished(tenantId: string, conflictId: string): Promise<Suggestion> {
    for (;;) {
      const [newest] = await this.shown(tenantId, conflictId);
      if (newest && newest.status !== 'requested') return newest;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async askAndWait(tenantId: string, conflictId: string): Promise<Suggestion> {
    await this.ask(tenantId, conflictId);
    return this.finished(tenantId, conflictId);
  }

  dismiss(tenantId: string, conflictId: string): Promise<void> {
    return this.test.database.inTenant(tenantId, (tx) =>
      modelSuggestions.dismiss(tx, tenantId, conflictId, PERSON),
    );
  }

  async stop(): Promise<void> {
    await this.#running.stop();
    await this.ai.stop();
    await this.#nats.close();
    await this.#server.stop();
    await this.test.drop();
  }

  #start(config: AIConfig | null): { stop(): Promise<void> } {
    return startSuggestions({
      queue: 'test',
      database: this.test.database,
      nats: this.#nats,
      logger: createLogger({ service: 'test', level: 'silent' }),
      metrics: new Metrics('test'),
      ai: config,
      announce: (_tx, _tenantId, conflictId) => Promise.resolve(void this.announced.push(conflictId)),
      kick: () => undefined,
    });
  }
}
