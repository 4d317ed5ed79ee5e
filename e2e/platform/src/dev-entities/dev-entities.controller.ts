import { Body, Controller, Delete, HttpCode, Inject, Param, Post, Put } from '@nestjs/common';
import { InvalidChangeError } from '@sync/owner-sdk';
import {
  ENTITY_ID_PATTERN,
  ENTITY_TYPE_PATTERN,
  TENANT_ID_PATTERN,
  type Validated,
  validator,
} from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import Type from 'typebox';
import { parameter } from '../path-parameter.ts';
import type { ChangeEntities } from './change-entities.ts';

export const CHANGE_ENTITIES = Symbol('CHANGE_ENTITIES');

const Data = Type.Record(Type.String(), Type.Unknown());
const checkOne = validator(Type.Object({ data: Data }));
const checkMany = validator(
  Type.Object({
    entities: Type.Array(Type.Object({ entityId: Type.String({ pattern: ENTITY_ID_PATTERN }), data: Data }), {
      minItems: 1,
      maxItems: 1_000,
    }),
  }),
);

interface EntityPath {
  readonly tenantId: string;
  readonly entityType: string;
  readonly entityId: string;
}

/** Changes something on the server side, for journeys, benches and people who try the platform out. */
@Controller('dev/tenants/:tenantId/entities/:entityType')
export class DevEntitiesController {
  private readonly entities: ChangeEntities;

  constructor(@Inject(CHANGE_ENTITIES) entities: ChangeEntities) {
    this.entities = entities;
  }

  /** PUT semantics under POST, too: the documented verb. */
  @Post(':entityId')
  @HttpCode(200)
  post(@Param() path: EntityPath, @Body() body: unknown): Promise<{ revision: number }> {
    return this.put(path, body);
  }

  @Put(':entityId')
  async put(@Param() path: EntityPath, @Body() body: unknown): Promise<{ revision: number }> {
    const { tenantId, entityType, entityId } = checkedPath(path);
    const { data } = checkedBody(checkOne, body, '{"data": {…}}');
    const put = this.entities.put(tenantId, entityType, [{ entityId, data }]);
    const [revision = 0] = await put.catch(asProblem);
    return { revision };
  }

  @Delete(':entityId')
  async delete(@Param() path: EntityPath): Promise<{ revision: number }> {
    const { tenantId, entityType, entityId } = checkedPath(path);
    return { revision: await this.entities.delete(tenantId, entityType, entityId) };
  }

  /** At most 1000 entities, all or none. */
  @Post()
  @HttpCode(200)
  async putMany(@Param() path: EntityPath, @Body() body: unknown): Promise<{ revisions: number[] }> {
    const { tenantId, entityType } = checkedPath({ ...path, entityId: 'any' });
    const { entities } = checkedBody(checkMany, body, '{"entities": [{"entityId", "data"}…]}');
    if (new Set(entities.map(({ entityId }) => entityId)).size < entities.length) {
      throw new ProblemError('schema_invalid', 'An entityId stands in the list twice');
    }
    return { revisions: await this.entities.put(tenantId, entityType, entities).catch(asProblem) };
  }
}

function checkedPath(path: EntityPath): EntityPath {
  return {
    tenantId: parameter('tenantId', path.tenantId, TENANT_ID_PATTERN),
    entityType: parameter('entityType', path.entityType, ENTITY_TYPE_PATTERN),
    entityId: parameter('entityId', path.entityId, ENTITY_ID_PATTERN),
  };
}

function checkedBody<T>(check: (value: unknown) => Validated<T>, body: unknown, shape: string): T {
  const checked = check(body);
  if (checked.ok) return checked.value;
  throw new ProblemError('schema_invalid', `The body must be ${shape}`, { errors: checked.faults });
}

function asProblem(error: unknown): never {
  if (error instanceof InvalidChangeError)
    throw new ProblemError('schema_invalid', error.message, { cause: error });
  throw error;
}
