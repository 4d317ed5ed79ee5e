/** What an operation of the admin API is; `ADMIN_OPERATIONS` lists them. */
import type { TSchema } from 'typebox';
import type { AdminRole } from './admin-roles.ts';

interface DescribedOperation {
  /** With OpenAPI path parameters in braces. */
  readonly path: string;
  readonly summary: string;
  readonly params?: Readonly<Record<string, TSchema>>;
  readonly query?: TSchema;
  readonly body?: TSchema;
  /** The request may come without its body. */
  readonly bodyIsOptional?: boolean;
  readonly response: TSchema;
  /** Of the answer, where it is not `application/json`. */
  readonly mediaType?: 'application/x-ndjson';
  /** A token needs one of them. */
  readonly roles: readonly AdminRole[];
  /** Problem codes beyond those of every operation (unauthenticated, forbidden, unavailable, internal). */
  readonly problems: readonly string[];
}

/** It shows something; the audit log names who was refused it. */
export interface AdminRead extends DescribedOperation {
  readonly method: 'get';
}

/** It changes something, and the audit log says how: see {@link AuditedBy}. */
export interface AdminChange extends DescribedOperation {
  readonly method: 'put' | 'post';
  readonly audited: AuditedBy;
}

/**
 * `with_change`: the gateway carries it out, and its line is written in the same transaction.
 * `around_request`: another app carries it out; a line says what is attempted before it is asked, and a
 * second one how it ended.
 */
export type AuditedBy = 'with_change' | 'around_request';

/** One operation of the admin API, as data: the OpenAPI document is generated from this list. */
export type AdminOperation = AdminRead | AdminChange;

/** `POST /admin/v1/dead-letters/{id}/replay` → `postDeadLettersIdReplay`: stable, for generated clients. */
export function operationIdOf({ method, path }: { readonly method: string; readonly path: string }): string {
  const words = path.replace(/^\/(sync|admin)\/v1\//, '').match(/[A-Za-z]+/g) ?? [];
  return method + words.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join('');
}
