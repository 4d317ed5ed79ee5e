import { readFile } from 'node:fs/promises';

/** Resident memory of a process in KiB (`VmRSS`), null where the kernel does not say. */
export async function residentKib(pid: number): Promise<number | null> {
  try {
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) || null;
  } catch {
    return null;
  }
}

/** Waits until a process's memory has settled: sockets are freed and buffers trimmed some time after the last byte. */
export async function settledKib(pid: number, settleMs: number): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, settleMs));
  const kib = await residentKib(pid);
  if (kib === null) throw new Error(`the memory of process ${pid} cannot be read`);
  return kib;
}
