export { AppDevice, type AppDeviceOptions, type StoredScope } from './app-device.ts';
export { DriverDevice, UnexpectedAnswerError } from './driver-device.ts';
export type { LocalChange } from './driver-device.ts';
export { ScopeReplica } from './scope-replica.ts';
export { callGateway, signRequest } from './signed-http.ts';
export type { DeviceCredentials, GatewayAnswer, SignedRequestParts } from './signed-http.ts';
export {
  adminToken,
  bindDevice,
  changeOnServer,
  deleteOnServer,
  operatorToken,
  revokeDevice,
} from './platform-client.ts';
export type { PlatformUrls } from './platform-client.ts';
export { tagMutation } from './tag-mutation.ts';
export { until } from './until.ts';
export type { UntilOptions } from './until.ts';
export { startStackProcess } from './stack-process.ts';
export type { StackLine, StackProcess } from './stack-process.ts';
export { checkRevisions, queryAsOwner } from './owner-rows.ts';
