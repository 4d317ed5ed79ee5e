import { readJson } from '@sync/domain';
import { readFile } from 'node:fs/promises';
import {
  PLATFORM_SERVICE_RIGHTS,
  type RightsOfService,
  type SchemaFault,
  ServiceRights,
  type SyncRegistration,
  validator,
} from '@sync/protocol';

const checkRights = validator(ServiceRights);

/** Thrown at start: the file of rights cannot be used. */
export class ServiceRightsError extends Error {
  override readonly name = 'ServiceRightsError';
}

/**
 * Which service may register which entity types, and which scopes its entities may grant.
 *
 * Read from a file of the deployment. Without one the platform is in development mode: the first service
 * that registers an entity type owns it, and may grant any scope. What the platform's own services register
 * is theirs in both modes.
 */
export class RegistrationRights {
  /** False in development mode. */
  readonly isConfigured: boolean;
  readonly #services: ServiceRights['services'];

  private constructor(configured: ServiceRights | null) {
    this.isConfigured = configured !== null;
    this.#services = { ...configured?.services, ...PLATFORM_SERVICE_RIGHTS };
  }

  static development(): RegistrationRights {
    return new RegistrationRights(null);
  }

  /** @throws ServiceRightsError naming the file, and the offending path in it */
  static of(value: unknown, source: string): RegistrationRights {
    const checked = checkRights(value);
    if (!checked.ok) {
      const [first] = checked.faults;
      throw new ServiceRightsError(`${source}${first?.path ?? ''}: ${first?.message ?? ''}`);
    }
    const owners = new Map<string, string>();
    for (const [service, { entityTypes }] of servicesOf(checked.value)) {
      for (const entityType of entityTypes) {
        const other = owners.get(entityType);
        if (other !== undefined) {
          throw new ServiceRightsError(`${source}: "${entityType}" belongs to ${other} and to ${service}`);
        }
        owners.set(entityType, service);
      }
    }
    return new RegistrationRights(checked.value);
  }

  /** @throws ServiceRightsError when the file is missing, no JSON, or not a ServiceRights */
  static async fromFile(path: string): Promise<RegistrationRights> {
    let value: unknown;
    try {
      value = readJson(await readFile(path, 'utf8'));
    } catch (error) {
      throw new ServiceRightsError(`${path}: ${String(error)}`, { cause: error });
    }
    return RegistrationRights.of(value, path);
  }

  /** Whether the entity type was given to this service by name, so that nobody else can have it. */
  isAssigned(service: string, entityType: string): boolean {
    return this.#of(service)?.entityTypes.includes(entityType) === true;
  }

  /** What this service names in its registration and may not; empty when all of it is allowed. */
  faultsOf({ service, entityTypes }: SyncRegistration): SchemaFault[] {
    const rights = this.#of(service);
    const isOpen = !this.isConfigured && rights === undefined;
    return entityTypes.flatMap(({ entityType, grants = [] }, index): SchemaFault[] => {
      const path = `/entityTypes/${index}`;
      const faults: SchemaFault[] = [];
      if (!(isOpen ? this.#isFree(entityType) : this.isAssigned(service, entityType))) {
        faults.push({ path: `${path}/entityType`, message: `"${entityType}" is not assigned to ${service}` });
      }
      grants.forEach(({ scope }, place) => {
        const [kind = ''] = scope.split(':');
        if (isOpen || rights?.grants?.includes(kind) === true) return;
        faults.push({
          path: `${path}/grants/${place}/scope`,
          message: `${service} may not grant "${kind}" scopes`,
        });
      });
      return faults;
    });
  }

  /** Patterns of NATS subjects, beside those with the service's own name, that its registrations may name. */
  subjectsOf(service: string): readonly string[] {
    return this.#of(service)?.subjects ?? [];
  }

  #isFree(entityType: string): boolean {
    return !Object.values(this.#services).some((rights) => rights.entityTypes.includes(entityType));
  }

  #of(service: string): RightsOfService | undefined {
    return Object.hasOwn(this.#services, service) ? this.#services[service] : undefined;
  }
}

function servicesOf({ services }: ServiceRights): [string, RightsOfService][] {
  return Object.entries({ ...services, ...PLATFORM_SERVICE_RIGHTS });
}
