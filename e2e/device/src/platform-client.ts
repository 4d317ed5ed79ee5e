import { PLATFORM_TENANT } from '@sync/protocol';
import type { DeviceCredentials } from './signed-http.ts';

/** Where the reference platform listens, as `npm run stack -- --json` prints it. */
export interface PlatformUrls {
  readonly gateway: string;
  readonly identity: string;
  readonly learning: string;
  readonly authoring: string;
}

/** Who binds devices and gives out tokens. */
type IdentityUrl = Pick<PlatformUrls, 'identity'>;

/** Binds a new device to a user. */
export async function bindDevice(
  urls: IdentityUrl,
  tenantId: string,
  userId: string,
): Promise<DeviceCredentials> {
  return postJson<DeviceCredentials>(`${urls.identity}/dev/tenants/${tenantId}/users/${userId}/devices`, {});
}

/** An access token without a device, for the admin API. */
export async function adminToken(urls: IdentityUrl, tenantId: string, userId = 'clerk'): Promise<string> {
  return tokenWith(urls, tenantId, userId, ['sync-admin']);
}

/** An access token of somebody who runs the platform. */
export async function operatorToken(urls: IdentityUrl): Promise<string> {
  return tokenWith(urls, PLATFORM_TENANT, 'operator', ['sync-operator']);
}

async function tokenWith(
  urls: IdentityUrl,
  tenantId: string,
  userId: string,
  roles: readonly string[],
): Promise<string> {
  const url = `${urls.identity}/dev/tenants/${tenantId}/users/${userId}/tokens`;
  return (await postJson<{ accessToken: string }>(url, { roles })).accessToken;
}

export async function revokeDevice(urls: IdentityUrl, deviceId: string): Promise<void> {
  await expectOk(await fetch(`${urls.identity}/dev/devices/${deviceId}`, { method: 'DELETE' }));
}

/** Changes something on the server side, as a clerk or a job would. */
export async function changeOnServer(
  service: string,
  tenantId: string,
  entityType: string,
  entityId: string,
  data: Record<string, unknown>,
): Promise<void> {
  await postJson(`${service}/dev/tenants/${tenantId}/entities/${entityType}/${entityId}`, { data });
}

export async function deleteOnServer(
  service: string,
  tenantId: string,
  entityType: string,
  entityId: string,
): Promise<void> {
  const url = `${service}/dev/tenants/${tenantId}/entities/${entityType}/${entityId}`;
  await expectOk(await fetch(url, { method: 'DELETE' }));
}

async function postJson<T>(url: string, body: unknown): Promise<T> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return (await expectOk(response)).json() as Promise<T>;
}

async function expectOk(response: Response): Promise<Response> {
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}: ${await response.text()}`);
  return response;
}
