import type { Database } from '@sync/postgres';
import { ExplainReply, type ExplainRequest, subjects, validator } from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import type { Registry } from '../registration/registry.ts';
import type { AskApp } from './ask-app.ts';
import { type Explanation, explainSteps } from './explain-steps.ts';
import { readOpenMutations, readRevokedAt, readScopeFacts, readUserOf } from './explain-store.ts';

const checkReply = validator(ExplainReply);

export interface ExplainQuestion extends ExplainRequest {
  readonly deviceId: string;
}

/**
 * Why a device has or lacks an entity: what the projector knows, put together with what the gateway knows.
 */
export class ExplainEntity {
  readonly #database: Database;
  readonly #registry: Registry;
  readonly #apps: AskApp;

  constructor(database: Database, registry: Registry, apps: AskApp) {
    this.#database = database;
    this.#registry = registry;
    this.#apps = apps;
  }

  async execute(question: ExplainQuestion): Promise<Explanation & { readonly userId: string | null }> {
    const { deviceId, tenantId, entityType, entityId } = question;
    const projector = await this.#askProjector({ tenantId, entityType, entityId });
    return this.#database.inTenant(tenantId, async (tx) => {
      const userId = await readUserOf(tx, tenantId, deviceId);
      const entity = { tenantId, userId: userId ?? '', deviceId, entityType, entityId };
      const scopes = projector?.entity?.scopes.map(({ scope }) => scope) ?? [];
      const explanation = explainSteps({
        deviceId,
        userId,
        revokedAt: await readRevokedAt(tx, tenantId, deviceId),
        entityType,
        entityId,
        registration: this.#registry.find(entityType),
        projector,
        scopes: userId === null ? [] : await readScopeFacts(tx, entity, scopes),
        open: await readOpenMutations(tx, entity),
      });
      return { userId, ...explanation };
    });
  }

  /** The gateway's half is worth having without it. */
  async #askProjector(question: ExplainRequest): Promise<ExplainReply | null> {
    try {
      return await this.#apps.ask('delta-projector', subjects.explain, question, checkReply);
    } catch (error) {
      if (error instanceof ProblemError && error.code === 'unavailable') return null;
      throw error;
    }
  }
}
