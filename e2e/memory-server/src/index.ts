/** The server of `@sync/client-testing` as the conformance kit wants to see it: by HTTP, with signatures. */
export { NOT_KEPT } from './not-kept.ts';
export { platformTypes } from './platform-types.ts';
export { serve } from './serve.ts';
export type { ServedTestServer } from './serve.ts';
