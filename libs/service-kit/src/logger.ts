import type { LoggerService } from '@nestjs/common';
import { type Logger, pino } from 'pino';

export type { Logger } from 'pino';

/**
 * Structured logs, one JSON object a line on stdout. Field names: `requestId`, `tenantId`, `deviceId`,
 * `mutationId`, `event`; `service` is who logs, `owner` the owning service that a line is about. Tokens, keys
 * and entity data are never logged; the redaction list is the second line of defence.
 */
export function createLogger(options: { service: string; level?: string }): Logger {
  return pino({
    level: options.level ?? 'info',
    base: { service: options.service },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: [
      'authorization',
      'headers.authorization',
      'hmacKey',
      '*.hmacKey',
      'accessToken',
      '*.accessToken',
    ],
  });
}

/**
 * Nest's own messages in the same stream; its start-up chatter is debug, because `ready` says all that
 * matters.
 */
export function nestLogger(logger: Logger): LoggerService {
  return {
    log: (message: unknown) => logger.debug(String(message)),
    error: (message: unknown, ...details: unknown[]) => logger.error({ details }, String(message)),
    warn: (message: unknown) => logger.warn(String(message)),
    debug: (message: unknown) => logger.debug(String(message)),
    verbose: (message: unknown) => logger.trace(String(message)),
    fatal: (message: unknown) => logger.fatal(String(message)),
  };
}
