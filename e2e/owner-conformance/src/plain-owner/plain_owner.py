"""An owning service without our SDK, whole: tasks, in Python 3.9 or newer, with its standard library alone.

    python3 plain_owner.py nats://127.0.0.1:4222 tasks.sqlite

It speaks NATS itself, without TLS. Where NATS knows services by nkeys, NKEY_SEED has the seed (SU...) of this one.

One transaction holds what a request changes, the answers to it and the events that tell of it. So whatever
dies between two steps, an answer is true, a repetition is known, and no event is lost. It keeps no clocks:
events name the mutation that they come from, and the platform counts (OWNER-6, OWNER-20).
"""

import base64
import hashlib
import json
import os
import select
import socket
import sqlite3
import sys
import time
import uuid
from datetime import datetime, timezone
from urllib.parse import unquote, urlsplit

SERVICE = "tasks"
TYPE = "task"
REGISTRATION = {
    "service": SERVICE,
    "entityTypes": [
        {
            "entityType": TYPE,
            "schemaVersion": 1,
            "policy": "lww",
            "projection": {"kind": "declarative", "fields": "*", "scopes": ["user:{userId}"]},
            # Promises beyond what has to be: OWNER-4, OWNER-12 and OWNER-17 of docs/protocol.md.
            "pushChains": True,
            "pushShares": True,
            "pushRefuses": True,
        }
    ],
}


def to_json(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Unreadable(Exception):
    """A request that nobody can do, whoever asks."""


class Tasks:
    """The data of the service, its rule, and what it answers."""

    def __init__(self, file):
        self.db = sqlite3.connect(file, isolation_level=None)
        self.db.executescript(
            """PRAGMA journal_mode = WAL;
            CREATE TABLE IF NOT EXISTS task (tenant TEXT, id TEXT, revision INTEGER, data TEXT,
              PRIMARY KEY (tenant, id));
            CREATE TABLE IF NOT EXISTS answer (tenant TEXT, mutation TEXT, identity TEXT, result TEXT,
              PRIMARY KEY (tenant, mutation));
            CREATE TABLE IF NOT EXISTS event (position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT,
              text TEXT)"""
        )

    def answer_push(self, request):
        """All of a request or nothing: a failure in the middle leaves no trace, and it comes again."""
        tenant, mutations = request.get("tenantId"), request.get("mutations")
        if not isinstance(tenant, str) or not isinstance(mutations, list):
            raise Unreadable("no push request")
        if any(mutation.get("entityType") != TYPE for mutation in mutations):
            raise Unreadable(f"only {TYPE} is here")
        self.db.execute("BEGIN IMMEDIATE")
        try:
            conflicted = set()
            results = [self.decide(tenant, mutation, conflicted) for mutation in mutations]
            self.db.execute("COMMIT")
            return {"results": results}
        except BaseException:
            self.db.execute("ROLLBACK")
            raise

    def decide(self, tenant, mutation, conflicted):
        mutation_id, identity = mutation["mutationId"], mutation.get("identity")
        found = "SELECT identity, result FROM answer WHERE tenant = ? AND mutation = ?"
        known = self.db.execute(found, (tenant, mutation_id)).fetchone()
        if known:
            result = json.loads(known[1])
            if identity is None or identity == known[0]:
                return result
            # A refusal had no effect, so another change may have its id. What was applied stays (OWNER-3).
            if result["status"] == "applied":
                return {"mutationId": mutation_id, "status": "rejected", "code": "mutation_id_reused"}

        def keep(answer):
            answer = {"mutationId": mutation_id, **answer}
            row = (tenant, mutation_id, identity, to_json(answer))
            self.db.execute("REPLACE INTO answer VALUES (?, ?, ?, ?)", row)
            return answer

        def reject(code, message=None):
            return keep({"status": "rejected", "code": code, **({"message": message} if message else {})})

        if "refuse" in mutation:
            return reject(mutation["refuse"]["code"], mutation["refuse"].get("message"))
        entity_id = mutation["entityId"]
        found = "SELECT revision, data FROM task WHERE tenant = ? AND id = ?"
        row = self.db.execute(found, (tenant, entity_id)).fetchone()
        revision, before = (row[0], json.loads(row[1])) if row else (0, None)
        if revision != mutation["expectedRevision"] or entity_id in conflicted:
            conflicted.add(entity_id)
            # Not kept: the gateway decides anew on this state, and comes again under the same id.
            current = {"revision": revision, "data": before, "deleted": bool(row) and before is None}
            return {"mutationId": mutation_id, "status": "conflict", "current": current}
        data, fault, changed = data_after(mutation, before)
        if (data or before or {}).get("userId") != mutation["userId"]:
            return reject("forbidden", "a task belongs to one user")
        if fault:
            return reject("data_invalid", fault)
        revision += 1
        self.db.execute("REPLACE INTO task VALUES (?, ?, ?, ?)", (tenant, entity_id, revision, to_json(data)))
        event = event_of(tenant, mutation, revision, data)
        self.db.execute("INSERT INTO event (id, text) VALUES (?, ?)", (event["id"], to_json(event)))
        shown = {"changed": True, "data": data} if changed else {}
        return keep({"status": "applied", "revision": revision, **shown})

    def answer_snapshot(self, request):
        cursor, limit = request.get("cursor"), request.get("limit")
        # Only owners of documents are asked for named ones (OWNER-11).
        if not isinstance(limit, int) or request.get("entities"):
            raise Unreadable("no snapshot request of all entities")
        after = json.loads(cursor) if cursor else ["", ""]
        page = "SELECT * FROM task WHERE (tenant, id) > (?, ?) ORDER BY tenant, id LIMIT ?"
        rows = self.db.execute(page, (*after, limit)).fetchall()
        entities = [
            {
                **{"tenantId": tenant, "entityId": entity_id, "revision": revision},
                **{"data": json.loads(data), "deleted": data == "null"},
            }
            for tenant, entity_id, revision, data in rows
        ]
        more = len(rows) == limit
        return {"entities": entities, "next": to_json(rows[-1][:2]) if more else None}

    def first_event(self):
        return self.db.execute("SELECT * FROM event ORDER BY position LIMIT 1").fetchone()

    def forget_event(self, position):
        self.db.execute("DELETE FROM event WHERE position = ?", (position,))


def data_after(mutation, before):
    """The rule of this service: a task has a title, and may have a note."""
    if mutation["op"] == "delete":
        return None, None, False
    sent = mutation["data"]
    data = {**before, **sent} if mutation["op"] == "patch" and before else dict(sent)
    # null in a field that need not be there removes it (PUSH-19), and the device is told.
    if data.get("note") is None:
        data.pop("note", None)
    fault = None if isinstance(data.get("title"), str) else "/title must be a string"
    return data, fault, "note" in sent and sent["note"] is None


def event_of(tenant, mutation, revision, data):
    """Says whose change it was, and when it was made: last-write-wins decides by that (OWNER-20)."""
    writes = to_json(writes_of(mutation)) if revision > 1 and data is not None else ""
    return {
        **{"specversion": "1.0", "id": str(uuid.uuid4()), "source": f"/services/{SERVICE}"},
        **{"type": f"{SERVICE}.{TYPE}.changed.v1", "time": datetime.now(timezone.utc).isoformat()},
        **{"tenantid": tenant, "entitytype": TYPE, "entityid": mutation["entityId"]},
        **{"revision": revision, "schemaversion": 1, "data": data},
        **{"mutationid": mutation["mutationId"], "mutationdevice": mutation["deviceId"]},
        **{"mutationclock": to_json(mutation["clock"]), "mutationtime": mutation["occurredAt"]},
        **({"mutationwrites": writes} if 0 < len(writes) <= 65536 else {}),
    }


def writes_of(mutation):
    """Which fields were written, also without a change: what the platform decided, or all that is named."""
    if "fieldWrites" in mutation:
        return mutation["fieldWrites"]
    device = f"d:{mutation['deviceId']}"
    made = datetime.fromisoformat(mutation["occurredAt"].replace("Z", "+00:00"))
    at_ms, counter = round(made.timestamp() * 1000), mutation["clock"].get(device, 0)
    fields = [*mutation["data"], *([""] if mutation["op"] == "put" else [])]
    return {field: {"atMs": at_ms, "by": device, "counter": counter} for field in fields}


class Nats:
    """As much of the protocol of NATS as an owning service needs."""

    def __init__(self, url):
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port or 4222), timeout=10)
        # An event goes right behind an answer; it would wait for an acknowledgement of that.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread = b""
        info = json.loads(self.line()[5:])
        options = {"verbose": False, "pedantic": False, "headers": True, "lang": "python", "name": SERVICE}
        seed = os.environ.get("NKEY_SEED")
        if seed:
            options.update(signed_nonce(seed, info["nonce"]))
        elif parts.username:
            options.update({"user": unquote(parts.username), "pass": unquote(parts.password or "")})
        self.send(b"CONNECT " + json.dumps(options).encode() + b"\r\nPING\r\n")
        while self.line() != b"PONG":
            pass

    def send(self, data):
        self.socket.sendall(data)

    def publish(self, subject, value, reply="", message_id=None):
        payload = value.encode()
        if message_id is None:
            self.send(f"PUB {subject} {reply} {len(payload)}\r\n".encode() + payload + b"\r\n")
            return
        head = f"NATS/1.0\r\nNats-Msg-Id: {message_id}\r\n\r\n".encode()
        sizes = f"{len(head)} {len(head) + len(payload)}"
        self.send(f"HPUB {subject} {reply} {sizes}\r\n".encode() + head + payload + b"\r\n")

    def subscribe(self, sid, subject, queue=""):
        self.send(f"SUB {subject} {queue} {sid}\r\n".encode())

    def next(self, seconds):
        """The next message as (sid, subject, reply, payload); None when there is none for so long."""
        while b"\r\n" in self.unread or select.select([self.socket], [], [], seconds)[0]:
            verb, *words = self.line().split()
            if verb == b"PING":
                self.send(b"PONG\r\n")
            elif verb == b"-ERR":
                raise OSError(b" ".join(words).decode())
            elif verb in (b"MSG", b"HMSG"):
                # MSG subject sid [reply] size, HMSG subject sid [reply] headers size
                head = int(words[-2]) if verb == b"HMSG" else 0
                rest = words[2 : -2 if head else -1]
                payload = self.bytes(int(words[-1]) + 2)[head:-2]
                reply = rest[0].decode() if rest else ""
                return words[1].decode(), words[0].decode(), reply, payload
        return None

    def line(self):
        while b"\r\n" not in self.unread:
            self.receive()
        line, self.unread = self.unread.split(b"\r\n", 1)
        return line

    def bytes(self, count):
        while len(self.unread) < count:
            self.receive()
        found, self.unread = self.unread[:count], self.unread[count:]
        return found

    def receive(self):
        data = self.socket.recv(65536)
        if not data:
            raise OSError("the server has closed the connection")
        self.unread += data


def signed_nonce(seed, nonce):
    """The proof of an nkey: an Ed25519 signature (RFC 8032), which the standard library does not have."""
    prime, order = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
    curve = -121665 * pow(121666, -1, prime) % prime

    def add(one, other):
        (a, b, c, d), (e, f, g, h) = one, other
        left, right = (b - a) * (f - e) % prime, (b + a) * (f + e) % prime
        cross, double = 2 * d * h * curve % prime, 2 * c * g % prime
        u, v, w, x = right - left, double - cross, double + cross, right + left
        return u * v % prime, w * x % prime, v * w % prime, u * x % prime

    def times(factor):
        y = 4 * pow(5, -1, prime) % prime
        x2 = (y * y - 1) * pow(curve * y * y + 1, -1, prime) % prime
        x = pow(x2, (prime + 3) // 8, prime)
        x = x if (x * x - x2) % prime == 0 else x * pow(2, (prime - 1) // 4, prime) % prime
        x = x if x % 2 == 0 else prime - x
        point, total = (x, y, 1, x * y % prime), (0, 1, 1, 0)
        while factor:
            total = add(total, point) if factor & 1 else total
            point, factor = add(point, point), factor >> 1
        inverse = pow(total[2], -1, prime)
        x, y = total[0] * inverse % prime, total[1] * inverse % prime
        return (y | (x & 1) << 255).to_bytes(32, "little")

    def number(*parts):
        return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little")

    # Two bytes of prefix, the seed, a checksum; the prefix of a user's public key is 20 << 3.
    raw = base64.b32decode(seed + "=" * (-len(seed) % 8))[2:34]
    digest = hashlib.sha512(raw).digest()
    secret = int.from_bytes(digest[:32], "little") & (2**254 - 8) | 2**254
    public, message = times(secret), nonce.encode()
    r = number(digest[32:], message) % order
    point = times(r)
    s = (r + number(point, public, message) * secret) % order
    signature = base64.urlsafe_b64encode(point + s.to_bytes(32, "little")).rstrip(b"=").decode()
    named = bytes([20 << 3]) + public
    checked = named + checksum(named).to_bytes(2, "little")
    return {"nkey": base64.b32encode(checked).rstrip(b"=").decode(), "sig": signature}


def checksum(data):
    """CRC-16/XMODEM."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
    return crc


def serve(nats, tasks):
    """Answers, publishes and registers until the connection ends."""
    inbox = f"_INBOX.{SERVICE}.{uuid.uuid4().hex}"
    handlers = {"push": tasks.answer_push, "snapshot": tasks.answer_snapshot}
    for kind in handlers:
        nats.subscribe(kind, f"sync.{kind}.v1.{SERVICE}.{TYPE}", SERVICE)
    nats.subscribe("inbox", f"{inbox}.*")
    register_at, sent, sent_at = 0.0, None, 0.0
    while True:
        now = time.monotonic()
        # Until the gateway has accepted it, and then now and then: a gateway may have forgotten.
        if now >= register_at:
            nats.publish(f"sync.registry.v1.register.{SERVICE}", to_json(REGISTRATION), f"{inbox}.register")
            register_at = now + 1
        # Events leave in order; one is forgotten only when the stream has it. It drops what comes twice.
        event = tasks.first_event()
        if event and (event[0] != sent or now > sent_at + 2):
            sent, sent_at = event[0], now
            nats.publish(f"sync.events.v1.plain.{SERVICE}.{TYPE}", event[2], f"{inbox}.{sent}", event[1])
        message = nats.next(0.5)
        if message is None:
            continue
        sid, subject, reply, payload = message
        if sid in handlers:
            nats.publish(reply, to_json(answer(handlers[sid], payload)))
            continue
        told = json.loads(payload)
        if "registered" in told:
            register_at = now + 60
            print("ready", flush=True)
        elif "error" in told:
            print(f"refused: {told['error']}", file=sys.stderr, flush=True)
        elif "seq" in told:
            tasks.forget_event(int(subject.rsplit(".", 1)[1]))


def answer(handler, payload):
    """Whatever comes gets an answer: silence looks like a service that is away."""
    try:
        request = json.loads(payload)
        if not isinstance(request, dict):
            raise Unreadable("no request")
        return handler(request)
    except Exception as error:
        unreadable = isinstance(error, (Unreadable, ValueError, TypeError, KeyError, AttributeError))
        code = "schema_invalid" if unreadable else "internal"
        return {"error": {"code": code, "message": str(error) or code}}


def main():
    url, file = sys.argv[1:]
    tasks = Tasks(file)
    while True:
        try:
            serve(Nats(url), tasks)
        except OSError as error:
            print(f"NATS: {error}", file=sys.stderr, flush=True)
            time.sleep(1)


if __name__ == "__main__":
    main()
