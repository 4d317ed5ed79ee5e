import { readAuthoringConfig } from './config.ts';
import { startAuthoring } from './start-authoring.ts';

await startAuthoring(readAuthoringConfig(process.env));
