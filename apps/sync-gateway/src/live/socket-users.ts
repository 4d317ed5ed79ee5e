import { type DeviceKey } from '../access/device-bindings.ts';
import { scopeKeyText, type UserKey, userKeyText } from '../heads/gateway-news.ts';
import type { DeviceSocket, SocketUser } from './device-socket.ts';

/** Who is connected, by user and by scope. The own user scope needs no index: its name is the user's. */
export class SocketUsers {
  readonly #users = new Map<string, SocketUser>();
  readonly #byScope = new Map<string, Set<SocketUser>>();

  all(): IterableIterator<SocketUser> {
    return this.#users.values();
  }

  find(user: UserKey): SocketUser | undefined {
    return this.#users.get(userKeyText(user));
  }

  /** Oldest first; a copy. */
  socketsOf(device: DeviceKey): DeviceSocket[] {
    return this.find(device)?.sockets.filter(({ deviceId }) => deviceId === device.deviceId) ?? [];
  }

  /** @returns scopes that came or went for the user */
  add(socket: DeviceSocket, device: DeviceKey, scopes: readonly string[]): string[] {
    const key = userKeyText(device);
    let user = this.#users.get(key);
    if (!user) {
      user = { tenantId: device.tenantId, userId: device.userId, scopes: [], sockets: [] };
      this.#users.set(key, user);
    }
    user.sockets.push(socket);
    socket.user = user;
    socket.deviceId = device.deviceId;
    return this.setScopes(user, scopes);
  }

  remove(socket: DeviceSocket): void {
    const { user } = socket;
    if (!user) return;
    socket.user = null;
    const at = user.sockets.indexOf(socket);
    if (at >= 0) user.sockets.splice(at, 1);
    if (user.sockets.length > 0) return;
    this.setScopes(user, []);
    this.#users.delete(userKeyText(user));
  }

  /** @returns scopes that came or went */
  setScopes(user: SocketUser, scopes: readonly string[]): string[] {
    const before = new Set(user.scopes);
    const after = new Set(scopes);
    const gone = user.scopes.filter((scope) => !after.has(scope));
    const fresh = scopes.filter((scope) => !before.has(scope));
    for (const scope of gone) {
      const key = scopeKeyText({ tenantId: user.tenantId, scope });
      const users = this.#byScope.get(key);
      users?.delete(user);
      if (users?.size === 0) this.#byScope.delete(key);
    }
    for (const scope of fresh) {
      if (scope === `user:${user.userId}`) continue;
      const key = scopeKeyText({ tenantId: user.tenantId, scope });
      const users = this.#byScope.get(key) ?? new Set();
      users.add(user);
      this.#byScope.set(key, users);
    }
    user.scopes = scopes;
    return [...fresh, ...gone];
  }

  /** Connected users who hold a scope. */
  *holdersOf(tenantId: string, scope: string): Generator<SocketUser> {
    if (scope.startsWith('user:')) {
      const owner = this.find({ tenantId, userId: scope.slice('user:'.length) });
      if (owner) yield owner;
    }
    yield* this.#byScope.get(scopeKeyText({ tenantId, scope })) ?? [];
  }
}
