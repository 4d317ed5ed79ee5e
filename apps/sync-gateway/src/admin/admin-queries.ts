import {
  ADMIN_PAGE_SIZE,
  DEVICE_ID_PATTERN,
  DeadLetterStatus,
  DeviceStatus,
  ENTITY_TYPE_PATTERN,
  Timestamp,
  USER_ID_PATTERN,
  validator,
} from '@sync/protocol';
import { Transform } from 'class-transformer';
import { IsIn, IsInt, IsOptional, IsString, Length, Matches, Max, Min, ValidateBy } from 'class-validator';

/** Query parameters arrive as text; what is no number stays as it is and is refused as it stands. */
const toNumber = ({ value }: { readonly value: unknown }): unknown => {
  return typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;
};

const checkTime = validator(Timestamp);

/**
 * ISO 8601 has notations, such as weeks, that neither JavaScript nor Postgres reads: the protocol's own check
 * decides.
 */
export const isTimestamp = (value: unknown): boolean => checkTime(value).ok;

export const IsTimestamp = (): PropertyDecorator =>
  ValidateBy({
    name: 'isTimestamp',
    validator: {
      validate: isTimestamp,
      defaultMessage: () => '$property must be a time in RFC 3339, without a leap second',
    },
  });

/** A page of a list. */
export class PageQuery {
  @IsOptional()
  @IsString()
  @Length(1, 1024)
  cursor?: string;

  @IsOptional()
  @Transform(toNumber)
  @IsInt()
  @Min(1)
  @Max(ADMIN_PAGE_SIZE)
  limit?: number;
}

export class DevicesQuery extends PageQuery {
  @IsOptional()
  @IsIn(DeviceStatus.enum)
  status?: DeviceStatus;

  @IsOptional()
  @IsString()
  @Matches(new RegExp(USER_ID_PATTERN))
  user?: string;
}

export class DeadLettersQuery extends PageQuery {
  @IsOptional()
  @IsIn(DeadLetterStatus.enum)
  status?: DeadLetterStatus;

  @IsOptional()
  @IsString()
  @Matches(new RegExp(ENTITY_TYPE_PATTERN))
  entityType?: string;
}

export class ExplainQuery {
  @IsString()
  @Matches(new RegExp(DEVICE_ID_PATTERN))
  device!: string;

  /** `<entityType>/<entityId>` */
  @IsString()
  @Matches(/^[a-z][a-z0-9_-]{0,63}\/[A-Za-z0-9._~:-]{1,128}$/)
  entity!: string;
}
