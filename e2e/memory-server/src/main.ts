/** `node --conditions=source e2e/memory-server/src/main.ts [PORT]`: the server that the kit is pointed at. */
import { createTestServer } from '@sync/client-testing';
import { platformTypes } from './platform-types.ts';
import { serve } from './serve.ts';

const served = await serve(createTestServer({ entities: platformTypes() }), Number(process.argv[2] ?? 0));
process.stdout.write(`${served.url}\n`);
