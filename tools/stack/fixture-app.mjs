/**
 * The smallest process that keeps the stack's contract, for the stack's own tests. What it does wrong is
 * chosen per service: `FIXTURE_<name of its database>` = `die` (ends at once), `silent` (never says ready),
 * `stubborn` (ignores SIGTERM) or `slow` (ready only when the file FIXTURE_READY_FILE exists).
 */
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const database = new URL(process.env.DATABASE_URL).pathname.slice(1);
const fault = process.env[`FIXTURE_${database.toUpperCase()}`];
if (fault === 'die') {
  console.error('fatal: the fixture was told to die');
  process.exit(3);
}
const server = createServer((request, response) => {
  const answers = { '/env': JSON.stringify(process.env), '/main': process.argv[1] };
  response.end(answers[request.url] ?? 'ok');
});
if (fault === 'slow') while (!existsSync(process.env.FIXTURE_READY_FILE)) await sleep(50);
server.listen(Number(process.env.PORT), process.env.HOST, () => {
  const url = `http://${process.env.HOST}:${server.address().port}`;
  if (fault !== 'silent') console.log(JSON.stringify({ level: 30, event: 'ready', url }));
});
process.on('SIGTERM', () => {
  if (fault === 'stubborn') return;
  console.log(JSON.stringify({ level: 30, event: 'stopped' }));
  process.exit(0);
});
