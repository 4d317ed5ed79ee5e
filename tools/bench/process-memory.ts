import { once } from 'node:events';
import { WebSocket } from 'ws';
import { residentKib } from './proc-files.ts';

/** What a process needs after a full garbage collection, in KiB. */
export interface SettledMemory {
  /**
   * Objects and the buffers they hold (`heapUsed + external`): exact, but without what C++ keeps outside of
   * the heap.
   */
  readonly liveKib: number;
  /** `VmRSS`: everything, and also room that was needed once. */
  readonly residentKib: number;
}

/**
 * Lets sockets and buffers settle, makes the process collect all garbage through its inspector, and reads
 * what is left. Without the collection resident memory says nothing of small things: ten thousand sockets fit
 * into a young generation that has grown before.
 * @param inspectorPort its `--inspect-port`; the inspector opens with the first measurement, so a baseline
 * needs one before it
 * @throws Error when the process does not open its inspector
 */
export async function settledMemory(
  pid: number,
  inspectorPort: number,
  settleMs: number,
): Promise<SettledMemory> {
  await new Promise((resolve) => setTimeout(resolve, settleMs));
  const session = await openInspector(pid, inspectorPort);
  try {
    // Twice: what finalizers let go of is free only the next time.
    for (const _round of [1, 2]) await session.call('HeapProfiler.collectGarbage', {});
    const answer = await session.call('Runtime.evaluate', {
      expression: 'JSON.stringify(process.memoryUsage())',
    });
    const { value } = (answer as { readonly result: { readonly value: string } }).result;
    const { heapUsed, external } = JSON.parse(value) as NodeJS.MemoryUsage;
    const resident = await residentKib(pid);
    if (resident === null) throw new Error(`the memory of process ${pid} cannot be read`);
    return { liveKib: (heapUsed + external) / 1024, residentKib: resident };
  } finally {
    session.close();
  }
}

interface InspectorSession {
  call(method: string, params: object): Promise<unknown>;
  close(): void;
}

const INSPECTOR_TRIES = 50;

async function openInspector(pid: number, port: number): Promise<InspectorSession> {
  process.kill(pid, 'SIGUSR1');
  for (let tried = 1; ; tried += 1) {
    const answer = await fetch(`http://127.0.0.1:${port}/json/list`).catch(() => null);
    const targets = answer && ((await answer.json()) as { readonly webSocketDebuggerUrl: string }[]);
    if (targets?.[0]) return inspectorSession(targets[0].webSocketDebuggerUrl);
    if (tried === INSPECTOR_TRIES) throw new Error(`process ${pid} opens no inspector on ${port}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function inspectorSession(url: string): Promise<InspectorSession> {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  await once(socket, 'open');
  let last = 0;
  return {
    call: async (method, params) => {
      const id = (last += 1);
      socket.send(JSON.stringify({ id, method, params }));
      for (;;) {
        const [data] = (await once(socket, 'message')) as [Buffer];
        const message = JSON.parse(data.toString()) as { readonly id?: number; readonly result?: unknown };
        if (message.id === id) return message.result;
      }
    },
    close: () => socket.close(),
  };
}
