/**
 * `npm run secrets`: makes the keys and passwords of a deployment, and the permissions of its services in
 * NATS. Run it again after a change of the services, with `--rotate SERVICE` for a new nkey, or with
 * `--master-key DATABASE` for a new master key before the one that is there.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ServiceRights, validator } from '@sync/protocol';
import { SERVICES } from '../stack/services.ts';
import { writeSecrets } from './write-secrets.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const { values } = parseArgs({
  options: {
    services: { type: 'string', default: 'infra/services.json' },
    out: { type: 'string', default: 'infra/secrets' },
    databases: { type: 'string', default: SERVICES.map(({ database }) => database).join(',') },
    postgres: { type: 'string', default: 'postgres:5432' },
    account: { type: 'string', default: 'SYNC' },
    rotate: { type: 'string', multiple: true, default: [] },
    'master-key': { type: 'string', multiple: true, default: [] },
  },
});

const file = resolve(ROOT, values.services);
const rights = validator(ServiceRights)(JSON.parse(await readFile(file, 'utf8')));
if (!rights.ok) {
  const [fault] = rights.faults;
  process.stderr.write(`${file}${fault?.path ?? ''}: ${fault?.message ?? ''}\n`);
  process.exit(1);
}
const out = resolve(ROOT, values.out);
await mkdir(out, { recursive: true, mode: 0o700 });
const { account, postgres, rotate } = values;
const databases = values.databases.split(',').filter((name) => name !== '');
const sealed = SERVICES.filter(({ database, sealsKeys }) => sealsKeys && databases.includes(database)).map(
  ({ database }) => database,
);
const newMasterKeys = values['master-key'];
const unknown = newMasterKeys.filter((name) => !sealed.includes(name));
if (unknown.length > 0) {
  process.stderr.write(`${unknown.join(', ')} has no master keys; ${sealed.join(' and ')} have\n`);
  process.exit(1);
}
const written = await writeSecrets({
  ...{ out, rights: rights.value, databases, postgres, account, rotate, sealed, newMasterKeys },
});
process.stdout.write(
  `${written.length} new files in ${out}; nats/account.conf has the permissions in NATS\n`,
);
