/**
 * PouchDB Server on LevelDB, which is told to write each change out to disk before it answers.
 * `node pouchdb-server.mjs PACKAGES DATA`: where its packages and its data are. Prints its URL.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [packages = '', data = ''] = process.argv.slice(2);
const require = createRequire(join(packages, 'package.json'));
const express = require('express');
const leveldown = require('leveldown');

/** LevelDB as PouchDB opens it; without `sync` an answered change is lost with the machine. */
function synced(location) {
  const level = leveldown(location);
  for (const name of ['_batch', '_put', '_del']) {
    const write = level[name];
    level[name] = function (...given) {
      const done = given.pop();
      const options = given.pop();
      return write.call(this, ...given, { ...options, sync: true }, done);
    };
  }
  return level;
}

const PouchDB = require('pouchdb').defaults({ prefix: `${data}/`, db: synced });
const server = express()
  .use(
    require('express-pouchdb')(PouchDB, {
      ...{ mode: 'minimumForPouchDB', inMemoryConfig: true, logPath: join(data, 'log.txt') },
    }),
  )
  .listen(0, '127.0.0.1', () => {
    process.stdout.write(`http://127.0.0.1:${server.address().port}\n`);
  });
