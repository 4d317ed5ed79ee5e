import { Agent, request } from 'node:http';

export interface RawAnswer {
  readonly status: number;
  readonly body: Buffer;
}

export interface RawRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | null;
}

/**
 * One connection that stays open: what a device has. node:http and not fetch, which costs about three times
 * the CPU of the load generator, and that shares two cores with what is measured.
 */
export class KeepAliveClient {
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 1 });

  send(wanted: RawRequest): Promise<RawAnswer> {
    return new Promise((resolve, reject) => {
      const headers = wanted.body
        ? { ...wanted.headers, 'content-length': String(wanted.body.byteLength) }
        : { ...wanted.headers };
      const sent = request(wanted.url, { method: wanted.method, agent: this.agent, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
        response.on('error', reject);
      });
      sent.on('error', reject);
      sent.end(wanted.body ?? undefined);
    });
  }

  close(): void {
    this.agent.destroy();
  }
}
