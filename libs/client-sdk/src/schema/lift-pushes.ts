import type { LocalMutation, PushRequest } from '@sync/protocol';
import { taggedText } from '@sync/protocol/device';
import { failure } from '../net/failure.ts';
import type { Call, DeviceKey, Transport } from '../net/transport.ts';
import { faultOfData } from '../outbox/make-mutation.ts';
import type { AppVersions } from './app-versions.ts';

/** A transport that pushes what an older app wrote as the present one would have written it. */
export function liftPushes(transport: Transport, versions: AppVersions, key: DeviceKey): Transport {
  if (!versions.hasUpcasters) return transport;
  const lifted = async (mutation: LocalMutation): Promise<LocalMutation> => {
    const after = versions.mutation(mutation);
    if (after === mutation) return mutation;
    // What no push takes would be refused: the server may lift it in a better way.
    if (!after.data || faultOfData(after.data)) return mutation;
    // The tag is one of the data, and of its version.
    return { ...after, tag: await key.tag(taggedText(after)) };
  };
  const prepared = async (call: Call): Promise<Call> => {
    if (call.path !== '/sync/v1/push') return call;
    const body = call.body as PushRequest;
    return { ...call, body: { ...body, mutations: await Promise.all(body.mutations.map(lifted)) } };
  };
  return {
    async send(call) {
      try {
        return await transport.send(await prepared(call));
      } catch (cause) {
        return failure('refused', 'What an older app wrote could not be tagged', { cause });
      }
    },
    ...(transport.listen ? { listen: transport.listen.bind(transport) } : {}),
  };
}
