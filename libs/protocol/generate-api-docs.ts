/** `node --conditions=source libs/protocol/generate-api-docs.ts`: writes docs/api from the schemas. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { apiDocuments } from './src/api-documents.ts';

const folder = resolve(import.meta.dirname, '../../docs/api');
await mkdir(folder, { recursive: true });
for (const [file, text] of apiDocuments()) {
  await writeFile(join(folder, file), text);
  console.log(`docs/api/${file}: ${text.length} characters`);
}
