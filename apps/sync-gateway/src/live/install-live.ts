import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { LiveSockets } from './live-sockets.ts';

const PATH = '/sync/v1/live';

/** Takes WebSocket upgrades on the HTTP server of the app; any other path is refused. */
export function installLive(app: NestFastifyApplication, sockets: LiveSockets): void {
  app.getHttpServer().on('upgrade', (request, stream, head) => {
    const [path, query = ''] = (request.url ?? '').split('?', 2);
    if (path === PATH) {
      sockets.accept(request, stream, head, new URLSearchParams(query).get('ticket') ?? '');
    } else {
      stream.on('error', () => stream.destroy());
      stream.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n');
    }
  });
}
