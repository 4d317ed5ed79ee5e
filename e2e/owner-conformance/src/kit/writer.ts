import { createHash, randomUUID } from 'node:crypto';
import { type JsonObject, parseScopeTemplate, renderScope } from '@sync/domain';
import { needed } from '@sync/e2e-conformance/needs';
import type { EntityTypeRegistration, PushedMutation } from '@sync/protocol';
import type { TypeExample } from './owner-file.ts';

/** One entity type under test. */
export interface TypeUnderTest {
  readonly entityType: string;
  readonly registration: EntityTypeRegistration;
  readonly example: TypeExample;
}

const fresh = (prefix: string): string => `${prefix}-${randomUUID().slice(0, 8)}`;

/** Makes mutations of one device as the gateway sends them: decided, with the revision that they expect. */
export class Writer {
  readonly type: TypeUnderTest;
  readonly tenantId: string;
  readonly userId = fresh('u');
  readonly deviceId = fresh('d');

  constructor(type: TypeUnderTest, tenantId = fresh('t')) {
    this.type = type;
    this.tenantId = tenantId;
  }

  /** Whether entities can be changed once they are there. */
  get isWrittenOnce(): boolean {
    return this.type.registration.policy === 'append_only';
  }

  /** A new entity with the example’s data. */
  create(entityId: string = randomUUID(), expectedRevision = 0): PushedMutation {
    const op = this.isWrittenOnce ? 'append' : 'put';
    return this.#mutation(entityId, op, this.#fill(this.type.example.data, entityId), expectedRevision);
  }

  /** Gives the entity the example’s `changed` fields. @throws Error of a check that cannot be made */
  change(entityId: string, expectedRevision: number): PushedMutation {
    const { changed } = this.type.example;
    if (!changed) throw needed(`“changed” of a type that is not append_only: not of ${this.type.entityType}`);
    return this.#mutation(entityId, 'patch', this.#fill(changed, entityId), expectedRevision);
  }

  /** An entity that its owner has to refuse. @throws Error of a check that cannot be made */
  createInvalid(): PushedMutation {
    const { invalid } = this.type.example;
    if (!invalid) throw needed(`“invalid” of ${this.type.entityType}`);
    const mutation = this.create();
    return identified({
      ...mutation,
      data: { ...mutation.data, ...this.#fill(invalid, mutation.entityId) },
    });
  }

  remove(entityId: string, expectedRevision: number): PushedMutation {
    if (this.isWrittenOnce) throw needed(`a type that is not append_only: not ${this.type.entityType}`);
    return this.#mutation(entityId, 'delete', null, expectedRevision);
  }

  /** The same mutation, as if its device had written something else in it. */
  otherwise(mutation: PushedMutation, given: Partial<PushedMutation>): PushedMutation {
    return identified({ ...mutation, ...given });
  }

  #mutation(
    entityId: string,
    op: PushedMutation['op'],
    data: JsonObject | null,
    expectedRevision: number,
  ): PushedMutation {
    const { entityType, registration } = this.type;
    return identified({
      ...{ mutationId: randomUUID(), userId: this.userId, deviceId: this.deviceId },
      ...{ entityType, entityId, op, data, expectedRevision, scope: this.#scope(entityId) },
      clock: { [`d:${this.deviceId}`]: expectedRevision + 1 },
      occurredAt: new Date().toISOString(),
      schemaVersion: registration.schemaVersion,
    });
  }

  /** Where the entity shows first, as its registration says. */
  #scope(entityId: string): string {
    const { entityType, registration, example } = this.type;
    if (example.scope !== undefined) return this.#filled(example.scope, entityId);
    const { projection } = registration;
    const [first = ''] = projection.kind === 'declarative' ? projection.scopes : [];
    const template = parseScopeTemplate(first);
    const data = { userId: this.userId, ...this.#fill(example.data, entityId) };
    const scope = template.ok ? renderScope(template.template, data, { entityType, entityId }) : null;
    if (scope === null)
      throw new Error(
        `the example of ${entityType} shows in no scope: give it “scope”, such as user:{userId}`,
      );
    return scope;
  }

  #fill(data: TypeExample['data'], entityId: string): JsonObject {
    return JSON.parse(this.#filled(JSON.stringify(data), entityId)) as JsonObject;
  }

  #filled(text: string, entityId: string): string {
    // One value of an entity, whenever it is asked for.
    const uuid = `${digest(`${this.tenantId} ${entityId}`).slice(0, 8)}-0000-4000-8000-000000000000`;
    const values = { userId: this.userId, entityId, uuid };
    return Object.entries(values).reduce((told, [name, value]) => told.replaceAll(`{${name}}`, value), text);
  }
}

const digest = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex');

/** Says which change it is (`identity`), as the gateway does: equal for equal changes, and for no others. */
function identified(mutation: PushedMutation): PushedMutation {
  const { userId, entityType, entityId, op, scope, occurredAt, schemaVersion, data } = mutation;
  const change = digest([userId, entityType, entityId, op, scope, occurredAt]).slice(0, 32);
  return {
    ...mutation,
    identity: `${change}${digest(schemaVersion).slice(0, 8)}${digest(data).slice(0, 32)}`,
  };
}
