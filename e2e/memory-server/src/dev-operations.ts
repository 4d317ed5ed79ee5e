import type { TestServer } from '@sync/client-testing';
import { ProblemError } from '@sync/service-kit/problem-error';
import type { Identities } from './identities.ts';
import { PLATFORM } from './platform-types.ts';

/** What the kit asks of identity and owning services, by method and path. */
export function devOperations(server: TestServer, identities: Identities) {
  return [
    {
      matches: /^POST \/dev\/tenants\/([^/]+)\/users\/([^/]+)\/devices$/,
      run: ([tenantId, userId]: readonly string[]) => identities.bind(tenantId ?? '', userId ?? ''),
    },
    {
      matches: /^POST \/dev\/tenants\/([^/]+)\/users\/([^/]+)\/tokens$/,
      run: ([tenantId = '', userId = '']: readonly string[], body: unknown) => {
        const { roles = [] } = (body ?? {}) as { readonly roles?: readonly string[] };
        return { accessToken: identities.token({ tenantId, userId, roles }) };
      },
    },
    {
      matches: /^DELETE \/dev\/devices\/([^/]+)$/,
      run: ([deviceId = '']: readonly string[]) => identities.revoke(deviceId),
    },
    {
      matches: /^(?:POST|PUT) \/dev\/tenants\/([^/]+)\/entities\/([^/]+)\/([^/]+)$/,
      run: (address: readonly string[], body: unknown) => {
        put(server, addressOf(address), (body as { readonly data: Record<string, unknown> }).data);
        return {};
      },
    },
    {
      matches: /^DELETE \/dev\/tenants\/([^/]+)\/entities\/([^/]+)\/([^/]+)$/,
      run: (address: readonly string[]) => {
        const { tenantId, entityType, entityId } = addressOf(address);
        server.change(entityType, entityId, null, { tenantId });
        return {};
      },
    },
  ];
}

const addressOf = ([tenantId = '', entityType = '', entityId = '']: readonly string[]) => {
  return { tenantId, entityType, entityId };
};

/** As the service itself would make it. @throws ProblemError `schema_invalid`, `not_found` */
function put(
  server: TestServer,
  { tenantId, entityType, entityId }: ReturnType<typeof addressOf>,
  data: Record<string, unknown>,
): void {
  const entity = PLATFORM.get(entityType);
  if (!entity) throw new ProblemError('not_found', `There is no ${entityType}`);
  const plain = server.entity(entityType, entityId, tenantId)?.data ?? null;
  const document = server.document(entityType, entityId, tenantId);
  const body = document && { body: Buffer.from(document).toString('base64') };
  const current = plain && { ...plain, ...body };
  const prepared = entity.prepare(entityId, data, current, new Date().toISOString());
  if (!prepared.ok) {
    const [fault] = prepared.faults;
    throw new ProblemError('schema_invalid', `${fault?.path ?? ''} ${fault?.message ?? ''}`);
  }
  server.change(entityType, entityId, prepared.data, { tenantId });
  for (const also of prepared.also ?? []) {
    if (also.ifAbsent && server.entity(also.entityType, also.entityId, tenantId)?.data) continue;
    server.change(also.entityType, also.entityId, also.data, { tenantId });
  }
}
