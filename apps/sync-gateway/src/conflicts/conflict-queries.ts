import {
  ConflictPolicy,
  ConflictStatus,
  ENTITY_ID_PATTERN,
  ENTITY_TYPE_PATTERN,
  Timestamp,
  USER_ID_PATTERN,
  validator,
} from '@sync/protocol';
import { IsIn, IsOptional, IsString, Matches, ValidateBy } from 'class-validator';
import { PageQuery } from '../admin/admin-queries.ts';

const checkTime = validator(Timestamp);

/**
 * ISO 8601 has notations, such as weeks, that neither JavaScript nor Postgres reads: the protocol's own check
 * decides.
 */
const IsTimestamp = (): PropertyDecorator =>
  ValidateBy({
    name: 'isTimestamp',
    validator: {
      validate: (value) => checkTime(value).ok,
      defaultMessage: () => '$property must be a time in RFC 3339, without a leap second',
    },
  });

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
