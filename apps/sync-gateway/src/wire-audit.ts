import { AuditController } from './audit/audit-controller.ts';
import { AuditLog } from './audit/audit-log.ts';
import { ExportAudit } from './audit/export-audit.ts';
import { installAudit } from './audit/install-audit.ts';
import { Refusals } from './audit/refusals.ts';
import { WatchChains } from './audit/watch-chains.ts';
import type { Foundation, Wired } from './wire-foundation.ts';

export interface WiredAudit extends Wired {
  readonly log: AuditLog;
  readonly refusals: Refusals;
}

/** The audit log: written by whatever is changed or refused, read by administrators, watched all the time. */
export function wireAudit({ config, logger, metrics, database, requestDatabase }: Foundation): WiredAudit {
  const { platformTenant } = config;
  const log = new AuditLog({ database: requestDatabase, platformTenant, metrics, logger });
  const refused = metrics.counter(
    'sync_audit_refusals_total',
    'Refused attempts of named people and services at administrative operations.',
  );
  const refusals = new Refusals(log, refused, logger);
  const watch = new WatchChains({ database, metrics, logger });
  return {
    log,
    refusals,
    controllers: [AuditController],
    providers: [
      { provide: AuditLog, useValue: log },
      { provide: ExportAudit, useValue: new ExportAudit(requestDatabase) },
    ],
    prepare: (app) => installAudit(app, refusals, logger),
    start: () => {
      refusals.start();
      watch.start();
    },
    drain: async () => {
      await Promise.all([refusals.stop(), watch.stop()]);
    },
  };
}
