/**
 * `npm run restarts -- [--rounds 20] [--other CHECKOUT]`: restarts every process of the platform that many
 * times under load, behind a balancer, and counts what fails. With `--other` each process is in turns of this
 * version and of the one that is compiled there.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { runRestarts } from './run-restarts.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '20' }, other: { type: 'string' } },
});
const rounds = Number(values.rounds);
if (!Number.isSafeInteger(rounds) || rounds < 1) throw new RangeError('--rounds is a whole number');
process.env['DRAIN_READINESS_MS'] ??= '2000';
// The other version may be one that knows no seals.
if (values.other !== undefined) process.env['KEY_SEALING'] ??= 'later';
const { requests, failures, reopenedSockets, mutations } = await runRestarts({
  rounds,
  otherRoot: values.other === undefined ? undefined : resolve(process.env['INIT_CWD'] ?? '.', values.other),
  out: (line) => process.stdout.write(`${line}\n`),
});
for (const failure of failures) process.stdout.write(`  ${failure}\n`);
process.stdout.write(
  `${rounds} rounds: ${failures.length} of ${requests} requests failed, ${mutations} mutations, none lost or doubled; ` +
    `sockets opened again ${reopenedSockets} times\n`,
);
process.exitCode = failures.length === 0 ? 0 : 1;
