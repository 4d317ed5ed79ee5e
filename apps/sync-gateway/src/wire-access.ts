import { TokenVerifier } from '@sync/service-kit';
import { authenticateAdmin } from './access/authenticate-admin.ts';
import { AuthenticateDevice } from './access/authenticate-device.ts';
import { DeviceBindings } from './access/device-bindings.ts';
import { installEdge } from './edge/install-edge.ts';
import type { Foundation, Wired } from './wire-foundation.ts';

/** Who may come in: token, signature and device binding on every `/sync/v1/` route, the admin role on `/admin/`. */
export function wireAccess({ config, nats }: Foundation): Wired & { readonly bindings: DeviceBindings } {
  const tokens = new TokenVerifier({
    jwksUrl: `${config.identityUrl}/.well-known/jwks.json`,
    issuer: config.tokenIssuer,
    audience: config.tokenAudience,
  });
  const bindings = new DeviceBindings(nats);
  const devices = new AuthenticateDevice(tokens, bindings);
  return {
    bindings,
    prepare: (app) =>
      installEdge(app, {
        authenticateDevice: (request, rawBody) => devices.authenticate(request, rawBody),
        authenticateAdmin: (request) => authenticateAdmin(tokens, request),
      }),
  };
}
