import { readHealthConfig } from './config.ts';
import { startHealthService } from './start-health-service.ts';

await startHealthService(readHealthConfig(process.env));
