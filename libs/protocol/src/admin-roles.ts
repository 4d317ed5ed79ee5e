/**
 * Who may do what under `/admin/v1/`. A token carries its roles in the claim `roles`; each operation of
 * `ADMIN_OPERATIONS` names the roles that may use it, and the gateway refuses everybody else.
 *
 * | role            | may                                                                       |
 * | --------------- | ------------------------------------------------------------------------- |
 * | `sync-operator` | change what all tenants share: registrations; read the platform's audit log |
 * | `sync-admin`    | see everything of its tenant, replay dead letters, set up suggestions     |
 * | `sync-reviewer` | see conflicts of its tenant                                               |
 * | `sync-viewer`   | see everything of its tenant, change nothing                              |
 *
 * `sync-operator` counts only in tokens of the platform's own tenant (`PLATFORM_TENANT`). Identity services
 * often let a tenant name the roles of its own people; no name that a tenant chooses reaches other tenants.
 */
export const ADMIN_ROLES = ['sync-operator', 'sync-admin', 'sync-reviewer', 'sync-viewer'] as const;

export type AdminRole = (typeof ADMIN_ROLES)[number];

/** The tenant of those who run the platform, unless it is configured otherwise. */
export const PLATFORM_TENANT = '_platform';

export const ONLY_OPERATORS: readonly AdminRole[] = ['sync-operator'];
export const ONLY_ADMINS: readonly AdminRole[] = ['sync-admin'];
export const ALL_WHO_LOOK: readonly AdminRole[] = ['sync-admin', 'sync-viewer'];
export const CONFLICT_READERS: readonly AdminRole[] = ['sync-admin', 'sync-reviewer', 'sync-viewer'];
/** An operator's tenant is the platform, so that it reads the platform's own log. */
export const AUDIT_READERS: readonly AdminRole[] = ['sync-operator', 'sync-admin', 'sync-viewer'];
export const REGISTRATION_READERS: readonly AdminRole[] = ['sync-operator', 'sync-admin', 'sync-viewer'];
