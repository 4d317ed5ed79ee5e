/**
 * The floor: the least that a server on this machine can do for the same work, in a process of its own. Bare
 * node:http and bare pg, one connection pool, no framework, no signature, no validation; for the empty pull,
 * a bare route of the framework that the gateway runs on; for idling, connections to Postgres and NATS that
 * stay open. Prints its ports as one JSON line.
 */
import 'reflect-metadata';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Body, Controller, HttpCode, Module, Post } from '@nestjs/common';
import { connectNats } from '@sync/messaging';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Pool } from 'pg';
import { WebSocketServer } from 'ws';

// Our starter holds the other end, and whatever ends it closes that.
process.stdin.resume().on('end', () => process.exit());

const pool = new Pool({
  connectionString: process.env['FLOOR_DATABASE_URL'],
  max: 20,
  idleTimeoutMillis: 0,
});

const TABLES = `
  CREATE TABLE IF NOT EXISTS floor_push (id text PRIMARY KEY, body json NOT NULL,
    at timestamptz NOT NULL DEFAULT now());
  CREATE TABLE IF NOT EXISTS floor_page (scope text, sequence bigint, wire text,
    PRIMARY KEY (scope, sequence));
  CREATE TABLE IF NOT EXISTS floor_cursor (device text, scope text, sequence bigint,
    PRIMARY KEY (device, scope));
  CREATE TABLE IF NOT EXISTS floor_head (id text PRIMARY KEY, body json NOT NULL);
`;

type Handler = (body: string, url: URL) => Promise<string>;

const HANDLERS: Readonly<Record<string, Handler>> = {
  '/push': async (body) => {
    await pool.query({
      name: 'push',
      text: `INSERT INTO floor_push (id, body) SELECT r->>'mutationId', r
        FROM json_array_elements($1::json->'mutations') r
             ON CONFLICT DO NOTHING`,
      values: [body],
    });
    return '{"ok":true}';
  },
  '/pull': async (_body, url) => {
    const { rows } = await pool.query<{ page: string }>({
      name: 'pull',
      text: `SELECT coalesce(string_agg(wire, ',' ORDER BY sequence), '') AS page
             FROM (SELECT wire, sequence FROM floor_page WHERE scope = $1 AND sequence > $2 ORDER BY sequence LIMIT $3) p`,
      values: [
        url.searchParams.get('scope'),
        url.searchParams.get('after') ?? '0',
        url.searchParams.get('limit'),
      ],
    });
    return `{"deltas":[${rows[0]?.page ?? ''}]}`;
  },
  '/ack': async (body) => {
    const { device, scope, sequence } = JSON.parse(body) as {
      device: string;
      scope: string;
      sequence: number;
    };
    await pool.query({
      name: 'ack',
      text: `INSERT INTO floor_cursor VALUES ($1, $2, $3)
             ON CONFLICT (device, scope) DO UPDATE SET sequence = excluded.sequence`,
      values: [device, scope, sequence],
    });
    return '{"ok":true}';
  },
  '/fill': async (body, url) => {
    await pool.query(
      `INSERT INTO floor_page SELECT $2, n, r FROM json_array_elements($1::json) WITH ORDINALITY AS e (r, n)
       ON CONFLICT (scope, sequence) DO UPDATE SET wire = excluded.wire`,
      [body, url.searchParams.get('scope')],
    );
    return '{"ok":true}';
  },
  '/project': async (body) => {
    await pool.query({
      name: 'project',
      text: `INSERT INTO floor_head SELECT r->>'id', r FROM json_array_elements($1::json) r
             ON CONFLICT (id) DO UPDATE SET body = excluded.body`,
      values: [body],
    });
    return '{"ok":true}';
  },
};

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const url = new URL(request.url ?? '/', 'http://floor');
  const handler = HANDLERS[url.pathname];
  const body = handler ? await handler(Buffer.concat(chunks).toString(), url) : '{}';
  response.writeHead(handler ? 200 : 404, { 'content-type': 'application/json' });
  response.end(body);
}

class FrameworkController {
  answer(body: unknown): object {
    const scopes = [{ scope: 'user:u', reset: false, deltas: [], cursor: 'x'.repeat(120), hasMore: false }];
    return { serverTime: new Date().toISOString(), scopes, revoked: [], outcomes: [], kind: typeof body };
  }
}

/**
 * What the gateway's framework costs by itself: Nest on Fastify, a body that is read and parsed, an answer as
 * long as an empty pull's. Decorators are applied by hand, because this file runs as it is, without a
 * compiler.
 */
async function startFramework(): Promise<number> {
  const { prototype } = FrameworkController;
  const answer = Object.getOwnPropertyDescriptor(prototype, 'answer');
  if (!answer) throw new Error('the controller has no method');
  Controller()(FrameworkController);
  Post('framework')(prototype, 'answer', answer);
  HttpCode(200)(prototype, 'answer', answer);
  Body()(prototype, 'answer', 0);
  class FrameworkModule {}
  Module({ controllers: [FrameworkController] })(FrameworkModule);
  const app = await NestFactory.create(FrameworkModule, new FastifyAdapter(), { logger: false });
  await app.listen(0, '127.0.0.1');
  return Number(new URL(await app.getUrl()).port);
}

await pool.query(TABLES);
await connectNats({ url: process.env['FLOOR_NATS_URL'] ?? '', name: 'floor' });
const server = createServer((request, response) => {
  answer(request, response).catch((error: unknown) => {
    response.writeHead(500);
    response.end(String(error));
  });
});
const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
server.on('upgrade', (request, socket, head) => {
  sockets.handleUpgrade(request, socket, head, () => undefined);
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const frameworkPort = await startFramework();
const { port } = server.address() as AddressInfo;
process.stdout.write(`${JSON.stringify({ port, frameworkPort })}\n`);
