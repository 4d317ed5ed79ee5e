import { readGatewayConfig } from './config.ts';
import { startGateway } from './start-gateway.ts';

await startGateway(readGatewayConfig(process.env));
