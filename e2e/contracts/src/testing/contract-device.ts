import { type Call, type HttpTransport, type Transport, createHttpTransport } from '@sync/client';
import type { MemoryDisk } from '@sync/client/memory';
import { importDeviceKey, webCryptoKey } from '@sync/client/webcrypto-key';
import { AppDevice, type AppDeviceOptions, LEARNER_APP, type LearnerDevice, until } from '@sync/e2e-device';
import type { PullResponse } from '@sync/protocol';

export const USER = 'pact-user';
const TENANT = 'pact';
const CREDENTIALS = {
  deviceId: 'pact-device',
  hmacKey: Buffer.alloc(32).toString('base64'),
  accessToken: 'a.b.c',
};

/** The SDK's transport, of the device in the contracts. @param openSocket is given the URL of a socket */
export async function contractTransport(
  gatewayUrl: string,
  openSocket: ((url: string) => void) | null = null,
): Promise<HttpTransport> {
  const identity = { tenantId: TENANT, userId: USER, deviceId: CREDENTIALS.deviceId };
  const key = await webCryptoKey(await importDeviceKey(Buffer.from(CREDENTIALS.hmacKey, 'base64')), identity);
  return createHttpTransport({
    ...{ gatewayUrl, identity, key, token: async () => CREDENTIALS.accessToken },
    openSocket:
      openSocket &&
      ((url) => {
        openSocket(url);
        return { addEventListener: () => undefined, close: () => undefined };
      }),
  });
}

/** What an app is to send, and where it begins. */
export interface ContractApp extends Pick<AppDeviceOptions<typeof LEARNER_APP>, 'newId'> {
  /** Of the requests of the app this one goes out, once: all others stay without an answer. */
  readonly path: string;
  /** Empty unless given. */
  readonly disk?: MemoryDisk;
}

/** The app of the SDK, on the device in the contracts. It is not started. */
export function contractApp(
  gatewayUrl: string,
  { path, disk, ...more }: ContractApp,
): Promise<LearnerDevice> {
  return AppDevice.open(
    {
      ...appOptions(gatewayUrl),
      ...more,
      through: (transport) => onlyOnce(path, (call) => transport.send(call)),
    },
    disk,
  );
}

/** @returns what a device has stored that was answered so when it pulled for the first time */
export async function diskAfter(answer: PullResponse): Promise<MemoryDisk> {
  const said = async <T>() => ({ ok: true, body: answer as T }) as const;
  const device = await AppDevice.open({
    ...appOptions('http://nowhere.example'),
    through: () => onlyOnce('pull', said),
  });
  device.client.start();
  const isStored = async (): Promise<boolean> => {
    const scopes = (await device.scopes()).map(({ scope }) => scope);
    return [...answer.scopes.map(({ scope }) => scope), ...(answer.granted ?? [])].every((scope) =>
      scopes.includes(scope),
    );
  };
  await until('the device has pulled', isStored, { limitMs: 30_000, pauseMs: 10 });
  await device.close();
  return device.disk;
}

function appOptions(gateway: string): AppDeviceOptions<typeof LEARNER_APP> {
  return {
    ...{ urls: { gateway }, tenantId: TENANT, userId: USER, credentials: CREDENTIALS },
    ...{ entities: LEARNER_APP, hasSocket: false },
  };
}

function onlyOnce(path: string, send: Transport['send']): Transport {
  let isSent = false;
  return {
    send: <T>(call: Call) => {
      if (isSent || call.path !== `/sync/v1/${path}`) return new Promise(() => undefined);
      isSent = true;
      return send<T>(call);
    },
  };
}
