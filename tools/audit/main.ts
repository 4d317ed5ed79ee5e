/**
 * `npm run audit -- verify FILE…`: verifies exports of the audit log, each the answer of
 * `GET /admin/v1/audit/export`; `-` is stdin. `npm run audit -- verify --database URL` verifies every chain
 * in the gateway's database, `npm run audit -- export --database URL --tenant T` writes one to stdout.
 * Exit code 1: a line is broken; 2: there is nothing to verify.
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { Database } from '@sync/postgres';
import { exportOf, tenantsIn } from './export-database.ts';
import { verifyExport } from './verify-export.ts';

const USAGE = 'audit verify FILE… | audit verify --database URL | audit export --database URL --tenant T';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { database: { type: 'string' }, tenant: { type: 'string' } },
});
const [command, ...files] = positionals;

if (command === 'verify' && values.database !== undefined) {
  await withDatabase(values.database, async (database) => {
    const tenants = values.tenant === undefined ? await tenantsIn(database) : [values.tenant];
    for (const tenantId of tenants) await report(exportOf(database, tenantId));
  });
} else if (command === 'verify' && files.length > 0) {
  for (const file of files) {
    const input = file === '-' ? process.stdin : createReadStream(file, 'utf8');
    await report(createInterface({ input, crlfDelay: Infinity }));
  }
} else if (command === 'export' && values.database !== undefined && values.tenant !== undefined) {
  const { tenant } = values;
  await withDatabase(values.database, async (database) => {
    for await (const line of exportOf(database, tenant)) process.stdout.write(`${line}\n`);
  });
} else {
  process.stderr.write(`${USAGE}\n`);
  process.exitCode = 2;
}

async function withDatabase(url: string, work: (database: Database) => Promise<void>): Promise<void> {
  const database = await Database.connect({ url, applicationName: 'audit', poolSize: 1 });
  try {
    await work(database);
  } finally {
    await database.close();
  }
}

async function report(lines: AsyncIterable<string>): Promise<void> {
  try {
    const { tenantId, checked, end, broken } = await verifyExport(lines);
    if (broken === null) {
      const before = BigInt(end.position) - BigInt(checked);
      // Whoever gets a part of a log has to see that it is one.
      const lines = before === 0n ? `${checked} lines` : `${checked} lines behind line ${before}`;
      process.stdout.write(`${tenantId}: ${lines} are whole, up to ${end.position} ${end.hash}\n`);
      return;
    }
    const { position, fault, detail } = broken;
    process.stdout.write(`${tenantId}: BROKEN at line ${position} (${fault}): ${detail}\n`);
    process.exitCode = 1;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode ??= 2;
  }
}
