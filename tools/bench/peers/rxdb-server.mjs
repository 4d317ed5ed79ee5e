/**
 * RxDB Server in memory: of its free storages none that runs in Node writes to disk by itself.
 * `node rxdb-server.mjs PACKAGES DATA PORT`: where its packages are, and where to listen. Prints its URL.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [packages = '', , port = ''] = process.argv.slice(2);
const require = createRequire(join(packages, 'package.json'));
const { createRxDatabase } = require('rxdb/plugins/core');
const { getRxStorageMemory } = require('rxdb/plugins/storage-memory');
const { RxServerAdapterExpress } = require('rxdb-server/plugins/adapter-express');
const { createRxServer } = require('rxdb-server/plugins/server');

const database = await createRxDatabase({ name: 'bench', storage: getRxStorageMemory() });
const properties = { id: { type: 'string', maxLength: 100 }, data: { type: 'object' } };
const schema = { version: 0, primaryKey: 'id', type: 'object', properties, required: ['id'] };
await database.addCollections({ statement: { schema } });
const server = await createRxServer({
  ...{ database, adapter: RxServerAdapterExpress, hostname: '127.0.0.1', port: Number(port) },
  authHandler: async () => ({ validUntil: Number.MAX_SAFE_INTEGER, data: {} }),
});
await server.addReplicationEndpoint({ name: 'statement', collection: database.statement });
await server.start();
process.stdout.write(`http://127.0.0.1:${port}\n`);
