/** `@sync/client/testing`: for the tests of what is built upon the SDK. */
export { FaultyStore } from './faulty-store.ts';
export { ModelServer } from '../local/testing/model-server.ts';
