import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { exitOf } from '@sync/postgres/testing';
import { Client } from 'pg';

export interface Floor {
  readonly url: string;
  /** A bare route of the framework that the gateway runs on. */
  readonly frameworkUrl: string;
  readonly process: ChildProcess;
  /** Its name; nobody else uses it. */
  readonly database: string;
}

/**
 * Starts the floor server on a database of its own. It ends with this process, whatever ends that: it watches
 * its stdin, which nobody writes to.
 *
 * @param adminUrl of Postgres
 * @param env beside this process's environment
 * @throws Error when it ends before it listens
 */
export async function startFloor(
  adminUrl: string,
  natsUrl: string,
  env: Readonly<Record<string, string>>,
): Promise<Floor> {
  const database = `floor_${randomUUID().slice(0, 8)}`;
  const admin = new Client({ connectionString: adminUrl });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${database}`);
  await admin.end();
  const databaseUrl = new URL(adminUrl);
  databaseUrl.pathname = `/${database}`;
  const child = spawn(process.execPath, [resolve(import.meta.dirname, 'floor-server.ts')], {
    env: { ...process.env, ...env, FLOOR_DATABASE_URL: databaseUrl.href, FLOOR_NATS_URL: natsUrl },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = exitOf(child).then((how): never => {
    throw new Error(`the floor server ended with ${how}`);
  });
  ended.catch(() => undefined);
  const [line] = (await Promise.race([once(createInterface({ input: child.stdout }), 'line'), ended])) as [
    string,
  ];
  const { port, frameworkPort } = JSON.parse(line) as { port: number; frameworkPort: number };
  return {
    url: `http://127.0.0.1:${port}`,
    frameworkUrl: `http://127.0.0.1:${frameworkPort}`,
    process: child,
    database,
  };
}
