import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Below the range from which systems take the local ports of outgoing connections (Linux 32768, others
 * 49152).
 */
const FIRST_PORT = 20_000;
const END_PORT = 32_000;
/** Of each process, so that those that start servers at the same time do not find the same port free. */
const OWN_PORTS = 48;
const ATTEMPTS = OWN_PORTS + 50;

const firstOwn = FIRST_PORT + (process.pid % ((END_PORT - FIRST_PORT) / OWN_PORTS)) * OWN_PORTS;
let given = randomInt(OWN_PORTS);

/**
 * A free port of 127.0.0.1 for a server that may have to come back on the same port. Not what the system
 * gives for port 0: such a port can be taken by any outgoing connection while its server is down, even by a
 * client that waits for this very server and ends up connected to itself. A server may listen only seconds
 * later, so the same port is not given twice in a row.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = attempt < OWN_PORTS ? firstOwn + (given++ % OWN_PORTS) : randomInt(FIRST_PORT, END_PORT);
    if (await isFree(port)) return port;
  }
  throw new Error(`No free port found between ${FIRST_PORT} and ${END_PORT}`);
}

/** True when a server could listen on this port of 127.0.0.1 now. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
