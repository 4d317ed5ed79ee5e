import {
  ConflictPolicy,
  ConflictStatus,
  ENTITY_ID_PATTERN,
  ENTITY_TYPE_PATTERN,
  USER_ID_PATTERN,
} from '@sync/protocol';
import { IsIn, IsOptional, IsString, Matches } from 'class-validator';
import { IsTimestamp, PageQuery } from '../admin/admin-queries.ts';

/** What a device may filter its user's conflicts by. */
export class OwnConflictsQuery extends PageQuery {
  @IsOptional()
  @IsIn(ConflictStatus.enum)
  status?: ConflictStatus;

  @IsOptional()
  @IsString()
  @Matches(new RegExp(ENTITY_TYPE_PATTERN))
  entityType?: string;
}

/** What an administrator may filter the tenant's conflicts by. */
export class TenantConflictsQuery extends OwnConflictsQuery {
  @IsOptional()
  @IsIn(ConflictPolicy.enum)
  policy?: (typeof ConflictPolicy.enum)[number];

  @IsOptional()
  @IsString()
  @Matches(new RegExp(USER_ID_PATTERN))
  user?: string;

  @IsOptional()
  @IsString()
  @Matches(new RegExp(ENTITY_ID_PATTERN))
  entityId?: string;

  @IsOptional()
  @IsTimestamp()
  from?: string;

  @IsOptional()
  @IsTimestamp()
  to?: string;
}
