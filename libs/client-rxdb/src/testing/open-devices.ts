import type { TestServer } from '@sync/client-testing';
import type { AckRequest, LocalMutation, PushRequest } from '@sync/protocol';
import { RxDevice, type RxDeviceOptions } from './rx-device.ts';

const opened = new Set<RxDevice>();

/** Opens a device, whose collections are replicated from here on. */
export async function open(
  server: TestServer,
  name: string,
  options: RxDeviceOptions = {},
): Promise<RxDevice> {
  const device = await RxDevice.open(server, name, options);
  opened.add(device);
  device.start();
  return device;
}

export async function close(device: RxDevice): Promise<void> {
  if (opened.delete(device)) await device.close();
}

export async function closeAll(): Promise<void> {
  for (const device of opened) await close(device);
}

/** The same device, with the database as it was left. */
export async function reopen(
  device: RxDevice,
  server: TestServer,
  name: string,
  options: RxDeviceOptions = {},
): Promise<RxDevice> {
  await close(device);
  return open(server, name, { database: device.db.name, ...options });
}

export function pushedBy({ link }: RxDevice): LocalMutation[] {
  return link.calls.flatMap(({ path, body }) =>
    path.endsWith('push') ? (body as PushRequest).mutations : [],
  );
}

export function ackedBy({ link }: RxDevice): AckRequest[] {
  return link.calls.flatMap(({ path, body }) => (path.endsWith('ack') ? [body as AckRequest] : []));
}
