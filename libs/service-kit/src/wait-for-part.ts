import { createServer, type Server, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { isUnavailable } from '@sync/postgres';
import type { Logger } from './logger.ts';
import { ProblemError } from './problem-error.ts';
import { stopWhileStarting } from './stop-signals.ts';

/** Where the process will listen; with port 0 nobody could know where to ask. */
export interface StartAddress {
  readonly host: string;
  readonly port: number;
  /** Of health and metrics. */
  readonly opsPort: number;
}

/** Longer than a start takes when all is well. */
const QUIET_MS = 1_000;
const FIRST_PAUSE_MS = 250;
const LAST_PAUSE_MS = 5_000;

/**
 * Runs a step of the start that needs another part, such as Postgres, and says so when it takes long: a log
 * line with `event: "waiting"`, and on the operators' port `/health/ready` with 503 and that part in
 * `checks`, as it answers later when the part goes away. `/health/live` is 200, because a restart would help
 * nobody; everything else, and all of the other port, is 503 with `Retry-After`. A process that is told to
 * stop meanwhile ends cleanly.
 * @param part its name among the readiness checks
 */
export async function waitForPart<T>(
  address: StartAddress,
  part: string,
  logger: Logger,
  step: () => Promise<T>,
): Promise<T> {
  stopWhileStarting(logger);
  const servers: Server[] = [];
  const timer = setTimeout(() => {
    logger.warn({ event: 'waiting', part }, `the start waits for ${part}`);
    const { host, port, opsPort } = address;
    if (port !== 0) servers.push(answerWhileStarting(part, false, logger).listen(port, host));
    if (opsPort !== 0) servers.push(answerWhileStarting(part, true, logger).listen(opsPort, host));
  }, QUIET_MS);
  try {
    return await step();
  } finally {
    clearTimeout(timer);
    await Promise.all(servers.map(closed));
  }
}

/**
 * Repeats `work` until Postgres is there, with the functions of this build, and says so ({@link waitForPart}):
 * services and databases are started together, in any order.
 * @throws whatever has another cause
 */
export function untilAvailable<T>(address: StartAddress, logger: Logger, work: () => Promise<T>): Promise<T> {
  return waitForPart(address, 'postgres', logger, () => repeat(logger, work));
}

async function repeat<T>(logger: Logger, work: () => Promise<T>): Promise<T> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LAST_PAUSE_MS)) {
    try {
      return await work();
    } catch (error) {
      if (!isUnavailable(error) && !isUnavailable(causeOf(error))) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      logger.warn({ event: 'waiting', part: 'postgres', reason, pauseMs }, 'Postgres is not ready yet');
      await sleep(pauseMs);
    }
  }
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined;
}

function answerWhileStarting(part: string, forOperators: boolean, logger: Logger): Server {
  const unavailable = new ProblemError('unavailable', `The start waits for ${part}`);
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0];
    if (forOperators && path === '/health/live') send(response, 200, 'json', { status: 'ok' });
    else if (forOperators && path === '/health/ready') send(response, 503, 'json', notReady(part));
    else send(response, 503, 'problem+json', unavailable.toBody(Date.now()));
  });
  // A port that is taken is reported when the service itself listens.
  server.on('error', (error) => logger.debug({ err: error }, 'nobody is told that the start waits'));
  return server;
}

function notReady(part: string): object {
  return {
    status: 'not_ready',
    checks: [{ name: part, status: 'failed', reason: 'the start waits for it' }],
  };
}

function send(response: ServerResponse, status: number, type: string, body: object): void {
  // The port is handed over soon: a connection that stays would be in the way.
  const headers = { 'content-type': `application/${type}`, 'retry-after': '5', connection: 'close' };
  response.writeHead(status, headers);
  response.end(JSON.stringify(body));
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}
