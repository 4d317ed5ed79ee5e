import type { CheckKit } from '@sync/e2e-conformance';

/** The checks of an owning service. */
export const OWNER_KIT: CheckKit = {
  subject: 'owning service',
  folder: 'e2e/owner-conformance/src',
  config: 'e2e/owner-conformance/checks.jest.config.mjs',
  variable: 'OWNER_JSON',
};
