import { SCOPE_ID_PATTERN, USER_ID_PATTERN } from '@sync/protocol';
import Type from 'typebox';

/** Ids that stand in a scope (`user:…`, `course:…`) keep to the alphabet of a scope. */
export const UserIdField = Type.String({ pattern: USER_ID_PATTERN });
export const CourseIdField = Type.String({ pattern: SCOPE_ID_PATTERN });
