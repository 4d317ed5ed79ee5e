import { AskApp } from './admin/ask-app.ts';
import { AskConflicts } from './conflicts/ask-conflicts.ts';
import { ConflictsController } from './conflicts/conflicts-controller.ts';
import { OwnConflicts } from './conflicts/own-conflicts.ts';
import { ResolveConflict } from './conflicts/resolve-conflict.ts';
import { TenantConflictsController } from './conflicts/tenant-conflicts-controller.ts';
import { ReadHeads } from './read-model/read-heads.ts';
import type { Registry } from './registration/registry.ts';
import type { Foundation, Wired } from './wire-foundation.ts';

/** Conflicts: what devices and reviewers see of them, and their resolution. */
export function wireConflicts({ requestDatabase, nats }: Foundation, registry: Registry): Wired {
  const conflicts = new AskConflicts(new AskApp(nats));
  const own = new OwnConflicts(conflicts, requestDatabase);
  const resolve = new ResolveConflict(own, new ReadHeads(requestDatabase), registry);
  return {
    controllers: [ConflictsController, TenantConflictsController],
    providers: [
      { provide: AskConflicts, useValue: conflicts },
      { provide: OwnConflicts, useValue: own },
      { provide: ResolveConflict, useValue: resolve },
    ],
  };
}
