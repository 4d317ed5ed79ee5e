import { AuditOutcome } from '@sync/protocol';
import { IsIn, IsOptional, IsString, Matches } from 'class-validator';
import { IsTimestamp, PageQuery } from '../admin/admin-queries.ts';

/** A line's place in its chain; 19 digits and more could be no bigint. */
export const POSITION = /^(0|[1-9]\d{0,17})$/;

/** What the log may be filtered by. */
export class AuditQuery extends PageQuery {
  /** A user or a service. */
  @IsOptional()
  @IsString()
  @Matches(/^[A-Za-z0-9._~-]{1,128}$/)
  actor?: string;

  @IsOptional()
  @IsString()
  @Matches(/^[A-Za-z]{1,64}$/)
  operation?: string;

  @IsOptional()
  @IsIn(AuditOutcome.enum)
  outcome?: AuditOutcome;

  @IsOptional()
  @IsTimestamp()
  from?: string;

  @IsOptional()
  @IsTimestamp()
  to?: string;
}

export class AuditExportQuery {
  /** The export begins behind this line. */
  @IsOptional()
  @IsString()
  @Matches(POSITION)
  after?: string;
}
