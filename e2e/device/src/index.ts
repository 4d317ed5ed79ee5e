export { AppDevice, type AppDeviceOptions, type StoredScope } from './app-device.ts';
export { LEARNER_APP, bindLearnerDevice } from './learner-app.ts';
export type { LearnerDevice } from './learner-app.ts';
export { DriverDevice } from './driver-device.ts';
export { NotStrictError, callGateway, signRequest } from './signed-http.ts';
export type { DeviceCredentials, GatewayAnswer } from './signed-http.ts';
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
export { startStackProcess } from './stack-process.ts';
export type { StackLine, StackProcess } from './stack-process.ts';
export { checkRevisions, queryAsOwner } from './owner-rows.ts';
