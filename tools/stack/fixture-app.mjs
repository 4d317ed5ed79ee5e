/**
 * The smallest process that keeps the stack's contract, for the stack's own tests. What it does wrong is chosen per service:
 * `FIXTURE_<name of its database>` = `die` (ends at once), `silent` (never says ready) or `stubborn` (ignores SIGTERM).
 */
import { createServer } from 'node:http';

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
server.listen(Number(process.env.PORT), process.env.HOST, () => {
  const url = `http://${process.env.HOST}:${server.address().port}`;
  if (fault !== 'silent') console.log(JSON.stringify({ level: 30, event: 'ready', url }));
});
process.on('SIGTERM', () => {
  if (fault === 'stubborn') return;
  console.log(JSON.stringify({ level: 30, event: 'stopped' }));
  process.exit(0);
});
