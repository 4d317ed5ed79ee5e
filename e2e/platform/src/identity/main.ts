import { readIdentityConfig } from './config.ts';
import { startIdentity } from './start-identity.ts';

await startIdentity(readIdentityConfig(process.env));
