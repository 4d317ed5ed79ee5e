import type { IncomingMessage, Server } from 'node:http';
import { endWithProblem, ProblemError } from '@sync/service-kit';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { UnprovenConnections } from '../edge/unproven-connections.ts';
import type { LiveSockets } from './live-sockets.ts';

const PATH = '/sync/v1/live';

/** Takes WebSocket upgrades on the HTTP server of the app; any other path is refused. */
export function installLive(
  app: NestFastifyApplication,
  sockets: LiveSockets,
  connections: UnprovenConnections,
): void {
  const server: Server = app.getHttpServer();
  // Other requests that could be upgraded, as those of clients that offer h2c, are answered like any other.
  Object.assign(server, {
    shouldUpgradeCallback: ({ url }: IncomingMessage) => url?.split('?', 1)[0] === PATH,
  });
  server.on('upgrade', (request, stream, head) => {
    const [path, query = ''] = (request.url ?? '').split('?', 2);
    if (path === PATH) {
      const ticket = new URLSearchParams(query).get('ticket') ?? '';
      sockets.accept(request, stream, head, ticket, () => connections.prove(stream));
    } else {
      endWithProblem(stream, new ProblemError('not_found', 'Only /sync/v1/live can be upgraded'));
    }
  });
}
