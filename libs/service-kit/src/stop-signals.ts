import type { Logger } from './logger.ts';

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;
let release: (() => void) | undefined;

/** @returns a function that gives the signals up again */
export function onStopSignal(stop: (signal: NodeJS.Signals) => void): () => void {
  for (const signal of SIGNALS) process.once(signal, stop);
  return () => {
    for (const signal of SIGNALS) process.off(signal, stop);
  };
}

/**
 * Until {@link endOfStart} a process that is told to stop ends at once, and cleanly: nothing has begun that
 * would have to be drained. Without this it would end by the signal, and in a container, as its first
 * process, not at all.
 */
export function stopWhileStarting(logger: Logger): void {
  release ??= onStopSignal((signal) => {
    logger.info({ event: 'stopped', signal }, 'told to stop while it started');
    process.exit(0);
  });
}

/** From now on whoever runs the service answers for the signals. */
export function endOfStart(): void {
  release?.();
  release = undefined;
}
