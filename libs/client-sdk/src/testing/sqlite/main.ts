/** `node main.ts FILE`: commits to a store in this file until it is killed; prints each that is stored. */
import { writeSync } from 'node:fs';
import { openSqliteStore } from '../../storage/sqlite/sqlite-store.ts';
import { writeUntilKilled } from '../../store-contract/killed-writer.ts';
import { NodeSqliteDriver } from './node-sqlite-driver.ts';

const store = await openSqliteStore({ driver: new NodeSqliteDriver(process.argv[2] ?? '') });
await writeUntilKilled(store, (n) => void writeSync(1, `${n}\n`));
