/** `@sync/client-testing`: a server in memory, for the tests of apps. */
export { createTestServer, TestServer } from './server/test-server.ts';
export type { Caller, Named, Place, TestServerOptions } from './server/test-server.ts';
export { takeAsSent } from './server/entity-types.ts';
export type {
  AlsoChange,
  Handle,
  HandledMutation,
  HandlerAnswer,
  HandlerContext,
  TestData,
  TestEntityType,
  TestUpcaster,
} from './server/entity-types.ts';
export type {
  DocumentChange,
  DocumentKeeper,
  DocumentMutation,
  KeptDocument,
  TakenChange,
} from './server/document-keeper.ts';
export type { DeviceCall } from './server/answer-call.ts';
export { DeviceLink } from './network/device-link.ts';
export type { Operation } from './network/device-link.ts';
export { RefusedRequest } from './server/refused-request.ts';
export { HandClock } from '@sync/client/for-tests';
