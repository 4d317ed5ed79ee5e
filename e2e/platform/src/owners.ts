/** The services of the platform that own entities, in this process, for whoever checks owning services. */
export { startAuthoring } from './authoring/start-authoring.ts';
export { startLearning } from './learning/start-learning.ts';
export { startServiceRig } from './testing/platform-rig.ts';
