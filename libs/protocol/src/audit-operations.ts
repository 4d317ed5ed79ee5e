import type { AdminOperation } from './admin-operation.ts';
import { AUDIT_READERS } from './admin-roles.ts';
import {
  AdminAuditExportQuery,
  AdminAuditQuery,
  AdminAuditResponse,
  AdminAuditVerifyQuery,
  AdminAuditVerifyResponse,
  AuditExportLine,
} from './audit-api.ts';

/** How the audit log is read: listed, verified, taken away. */
export const AUDIT_OPERATIONS: readonly AdminOperation[] = [
  {
    method: 'get',
    path: '/admin/v1/audit',
    roles: AUDIT_READERS,
    summary: 'The audit log of the token’s tenant, newest first',
    query: AdminAuditQuery,
    response: AdminAuditResponse,
    problems: ['schema_invalid'],
  },
  {
    method: 'get',
    path: '/admin/v1/audit/verify',
    roles: AUDIT_READERS,
    summary: 'Walks the hash chain of the tenant’s audit log and names the first broken line',
    query: AdminAuditVerifyQuery,
    response: AdminAuditVerifyResponse,
    problems: ['schema_invalid'],
  },
  {
    method: 'get',
    path: '/admin/v1/audit/export',
    roles: AUDIT_READERS,
    summary: 'The audit log of the tenant as lines of JSON, to be kept and verified elsewhere',
    query: AdminAuditExportQuery,
    response: AuditExportLine,
    mediaType: 'application/x-ndjson',
    problems: ['schema_invalid'],
  },
];
