import { Controller, Get, Inject, Query } from '@nestjs/common';
import type { Database } from '@sync/postgres';
import { TENANT_ID_PATTERN } from '@sync/protocol';
import { parameter } from '../../path-parameter.ts';
import { findEvents } from './event-store.ts';

export const DATABASE = Symbol('DATABASE');

const DEFAULT_LIMIT = '100';
const LIMIT = '^([1-9]\\d{0,2}|1000)$';
const TYPE = '^[a-z0-9._-]{0,100}$';

@Controller('dev/events')
export class EventsController {
  private readonly database: Database;

  constructor(@Inject(DATABASE) database: Database) {
    this.database = database;
  }

  /** `{counts: {type: n}, events: […]}`: counts of all types, the newest events of the type asked for. */
  @Get()
  list(
    @Query('tenant') tenant?: string,
    @Query('type') type?: string,
    @Query('limit') limit?: string,
  ): ReturnType<typeof findEvents> {
    return findEvents(this.database, {
      tenantId: parameter('tenant', tenant, TENANT_ID_PATTERN),
      type: parameter('type', type ?? '', TYPE),
      limit: Number(parameter('limit', limit ?? DEFAULT_LIMIT, LIMIT)),
    });
  }
}
