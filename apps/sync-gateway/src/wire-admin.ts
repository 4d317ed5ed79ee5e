import { Database } from '@sync/postgres';
import { AskApp } from './admin/ask-app.ts';
import { DeadLettersController } from './admin/dead-letters-controller.ts';
import { ExplainController } from './admin/explain-controller.ts';
import { ExplainEntity } from './admin/explain-entity.ts';
import { FleetController } from './admin/fleet-controller.ts';
import { RegistrationsController } from './admin/registrations-controller.ts';
import { ScopesController } from './admin/scopes-controller.ts';
import { RegisterService } from './registration/register-service.ts';
import { Registry } from './registration/registry.ts';
import type { Foundation, Wired } from './wire-foundation.ts';

/** `/admin/v1/`: the gateway's own tables, and the questions to the apps that own the rest. */
export function wireAdmin(
  { requestDatabase: database, nats }: Foundation,
  { registry, registerService }: { readonly registry: Registry; readonly registerService: RegisterService },
): Wired {
  const apps = new AskApp(nats);
  return {
    controllers: [
      RegistrationsController,
      FleetController,
      DeadLettersController,
      ExplainController,
      ScopesController,
    ],
    providers: [
      { provide: Registry, useValue: registry },
      { provide: RegisterService, useValue: registerService },
      { provide: AskApp, useValue: apps },
      { provide: ExplainEntity, useValue: new ExplainEntity(database, registry, apps) },
      { provide: Database, useValue: database },
    ],
  };
}
