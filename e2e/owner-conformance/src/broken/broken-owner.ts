import type { Broken } from '@sync/e2e-conformance';
import type { OwnerDistortion } from './owner-proxy.ts';

/** An owning service that is broken on purpose. */
export interface BrokenOwner extends Broken {
  /** Makes the proxy’s part anew, with a memory of its own. */
  readonly breaks: () => OwnerDistortion;
}
