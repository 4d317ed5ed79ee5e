import type { DeviceKey } from '../access/device-bindings.ts';

/** A scope of a tenant. */
export interface ScopeKey {
  readonly tenantId: string;
  readonly scope: string;
}

/** A user of a tenant. */
export interface UserKey {
  readonly tenantId: string;
  readonly userId: string;
}

/**
 * Tells this replica and, as a hint, all others what has just been committed and is worth reading again: waiting pulls wake
 * up and sockets get a notice. Losing a hint costs at most a second.
 */
export interface GatewayNews {
  /** Call after the commit. */
  announce(news: {
    readonly scopes?: readonly ScopeKey[];
    readonly users?: readonly UserKey[];
    /** Devices with new terminal outcomes or another cursor state. */
    readonly devices?: readonly DeviceKey[];
  }): void;
}
