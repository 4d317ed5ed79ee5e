/**
 * An owning service without our SDK, whole: bookmarks, in plain Node with NATS and SQLite.
 *
 *     npx node plain-owner.mjs nats://127.0.0.1:4222 bookmarks.sqlite
 *
 * One transaction holds what a request changes, the answers to it and the events that tell of it. So whatever
 * dies between two steps, an answer is true, a repetition is known, and no event is lost. It keeps no clocks:
 * events name the mutation that they come from, and the platform counts (OWNER-6, OWNER-20).
 */
import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { randomUUID } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';

const [url, file] = process.argv.slice(2);
const SERVICE = 'bookmarks';
const TYPE = 'bookmark';
const REGISTERED_TYPE = {
  ...{ entityType: TYPE, schemaVersion: 1, policy: 'lww' },
  projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}'] },
  // Promises beyond what has to be: OWNER-4, OWNER-12 and OWNER-17 of docs/protocol.md.
  ...{ pushChains: true, pushShares: true, pushRefuses: true },
};

const db = new DatabaseSync(file);
db.exec(`PRAGMA journal_mode = WAL;
  CREATE TABLE IF NOT EXISTS bookmark (tenant TEXT, id TEXT, revision INTEGER, data TEXT,
    PRIMARY KEY (tenant, id));
  CREATE TABLE IF NOT EXISTS answer (tenant TEXT, mutation TEXT, identity TEXT, result TEXT,
    PRIMARY KEY (tenant, mutation));
  CREATE TABLE IF NOT EXISTS event (position INTEGER PRIMARY KEY, id TEXT, text TEXT)`);
const sql = {
  find: db.prepare('SELECT revision, data FROM bookmark WHERE tenant = ? AND id = ?'),
  store: db.prepare('REPLACE INTO bookmark VALUES (?, ?, ?, ?)'),
  page: db.prepare('SELECT * FROM bookmark WHERE (tenant, id) > (?, ?) ORDER BY tenant, id LIMIT ?'),
  findAnswer: db.prepare('SELECT identity, result FROM answer WHERE tenant = ? AND mutation = ?'),
  keepAnswer: db.prepare('REPLACE INTO answer VALUES (?, ?, ?, ?)'),
  addEvent: db.prepare('INSERT INTO event (id, text) VALUES (?, ?)'),
  firstEvent: db.prepare('SELECT * FROM event ORDER BY position LIMIT 1'),
  dropEvent: db.prepare('DELETE FROM event WHERE position = ?'),
};

/** All of a request or nothing: a failure in the middle leaves no trace, and the gateway asks again. */
function answerPush({ tenantId, mutations }) {
  if (typeof tenantId !== 'string' || !Array.isArray(mutations)) throw new TypeError('no push request');
  if (mutations.some(({ entityType }) => entityType !== TYPE)) throw new TypeError(`only ${TYPE} is here`);
  db.exec('BEGIN IMMEDIATE');
  try {
    const conflicted = new Set();
    const results = mutations.map((mutation) => decide(tenantId, mutation, conflicted));
    db.exec('COMMIT');
    return { results };
  } catch (error) {
    db.exec('ROLLBACK');
    throw error;
  }
}

function decide(tenantId, mutation, conflicted) {
  const { mutationId, entityId, userId, expectedRevision, refuse, identity = null } = mutation;
  const known = sql.findAnswer.get(tenantId, mutationId);
  const result = known && JSON.parse(known.result);
  if (known && (known.identity === identity || identity === null)) return result;
  // A refusal had no effect, so another change may have its id. What was applied stays (OWNER-3).
  if (result?.status === 'applied') return { mutationId, status: 'rejected', code: 'mutation_id_reused' };
  const keep = (answer) => {
    sql.keepAnswer.run(tenantId, mutationId, identity, JSON.stringify(answer));
    return answer;
  };
  const reject = (code, message) => keep({ mutationId, status: 'rejected', code, message });

  if (refuse) return reject(refuse.code, refuse.message);
  const row = sql.find.get(tenantId, entityId) ?? { revision: 0, data: 'null' };
  const now = { revision: row.revision, data: JSON.parse(row.data) };
  if (now.revision !== expectedRevision || conflicted.has(entityId)) {
    conflicted.add(entityId);
    // Not kept: the gateway decides anew on this state, and comes again under the same id.
    const deleted = now.revision > 0 && now.data === null;
    return { mutationId, status: 'conflict', current: { ...now, deleted } };
  }
  const { data, fault, changed } = dataAfter(mutation, now.data);
  if ((data ?? now.data)?.userId !== userId) return reject('forbidden', 'a bookmark belongs to one user');
  if (fault) return reject('data_invalid', fault);
  const revision = now.revision + 1;
  sql.store.run(tenantId, entityId, revision, JSON.stringify(data));
  const event = eventOf(tenantId, mutation, revision, data);
  sql.addEvent.run(event.id, JSON.stringify(event));
  return keep({ mutationId, status: 'applied', revision, ...(changed && { changed, data }) });
}

/** The rule of this service: a bookmark has a page, and may have a comment. */
function dataAfter({ op, data: sent }, before) {
  if (op === 'delete') return { data: null };
  const { comment, ...others } = op === 'patch' ? { ...before, ...sent } : sent;
  // null in a field that need not be there removes it (PUSH-19), and the device is told.
  const data = comment == null ? others : { ...others, comment };
  const fault = typeof data.page === 'string' ? null : '/page must be a string';
  return { data, fault, changed: sent.comment === null };
}

/** Says whose change it was, and when it was made: last-write-wins decides by that (OWNER-20). */
function eventOf(tenantid, mutation, revision, data) {
  const { entityId, mutationId, deviceId, occurredAt, clock } = mutation;
  const writes = revision > 1 && data !== null ? JSON.stringify(writesOf(mutation)) : '';
  return {
    ...{ specversion: '1.0', id: randomUUID(), source: `/services/${SERVICE}` },
    ...{ type: `${SERVICE}.${TYPE}.changed.v1`, time: new Date().toISOString() },
    ...{ tenantid, entitytype: TYPE, entityid: entityId, revision, schemaversion: 1, data },
    ...{ mutationid: mutationId, mutationdevice: deviceId },
    ...{ mutationclock: JSON.stringify(clock), mutationtime: occurredAt },
    ...(writes.length > 0 && writes.length <= 65_536 && { mutationwrites: writes }),
  };
}

/** Which fields were written, also without a change: what the platform decided, or all that is named. */
function writesOf({ op, data, fieldWrites, deviceId, occurredAt, clock }) {
  if (fieldWrites) return fieldWrites;
  const by = `d:${deviceId}`;
  const write = { atMs: Date.parse(occurredAt), by, counter: clock[by] ?? 0 };
  const fields = [...Object.keys(data), ...(op === 'put' ? [''] : [])];
  return Object.fromEntries(fields.map((field) => [field, write]));
}

function answerSnapshot({ cursor, limit, entities }) {
  if (!Number.isInteger(limit)) throw new TypeError('no snapshot request');
  // Only owners of documents are asked for named ones (OWNER-11).
  if (entities) throw new TypeError('no snapshot of named entities');
  const [tenant, id] = cursor === null ? ['', ''] : JSON.parse(cursor);
  const rows = sql.page.all(tenant, id, limit);
  const last = rows.at(-1);
  const next = rows.length < limit ? null : JSON.stringify([last.tenant, last.id]);
  const shown = rows.map(({ tenant: tenantId, id: entityId, revision, data: text }) => {
    const data = JSON.parse(text);
    return { tenantId, entityId, revision, data, deleted: data === null };
  });
  return { entities: shown, next };
}

const nats = await connect({ servers: url, maxReconnectAttempts: -1 });
const stream = jetstream(nats);

/** Events leave in order; one is forgotten only when the stream has it. The stream drops what comes twice. */
let telling = Promise.resolve();
async function tellAll() {
  for (let next; (next = sql.firstEvent.get()); sql.dropEvent.run(next.position)) {
    await stream.publish(`sync.events.v1.plain.${SERVICE}.${TYPE}`, next.text, { msgID: next.id });
  }
}
const tell = () => (telling = telling.then(tellAll).catch(() => undefined));

/** Whatever comes gets an answer: silence looks like a service that is away. */
function serve(subject, answer) {
  const callback = (_error, message) => {
    try {
      message.respond(JSON.stringify(answer(message.json())));
      tell();
    } catch (error) {
      const code = error instanceof TypeError || error instanceof SyntaxError ? 'schema_invalid' : 'internal';
      message.respond(JSON.stringify({ error: { code, message: error.message } }));
    }
  };
  nats.subscribe(subject, { queue: SERVICE, callback });
}
serve(`sync.push.v1.${SERVICE}.${TYPE}`, answerPush);
serve(`sync.snapshot.v1.${SERVICE}.${TYPE}`, answerSnapshot);

/** Until the gateway has accepted it, and then now and then: a gateway may have forgotten. */
async function register() {
  const subject = `sync.registry.v1.register.${SERVICE}`;
  const registration = JSON.stringify({ service: SERVICE, entityTypes: [REGISTERED_TYPE] });
  const reply = await nats.request(subject, registration).catch(() => null);
  const { registered, error } = reply?.json() ?? {};
  if (error) console.error(`the registration is refused: ${error.code} ${error.message}`);
  setTimeout(register, registered ? 60_000 : 1_000);
}
await register();
setInterval(tell, 1_000);
console.log('ready');
