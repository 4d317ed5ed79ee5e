import { USER_ID_PATTERN } from '@sync/protocol';
import Type from 'typebox';

/** Ids that stand in a scope (`user:…`, `course:…`) keep to the alphabet of a scope. */
export const UserIdField = Type.String({ pattern: USER_ID_PATTERN });
export const CourseIdField = Type.String({ pattern: '^[A-Za-z0-9._~-]{1,128}$' });
/** RFC 3339. */
export const TimeField = Type.String({
  pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d{1,9})?(Z|[+-]\\d{2}:\\d{2})$',
});
