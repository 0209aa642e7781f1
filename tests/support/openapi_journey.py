#!/usr/bin/env python3
"""Goes through the whole API of a real server as users, services and administrators would, and holds every answer
against server/ops/openapi.json: the status must be one that the operation names, the media type and the body must be as
it says. Ends with 1 if an answer differs, or if an operation was never answered as it should.

    openapi_journey.py PROGRAM      in the root of the source tree
"""
import base64, hashlib, hmac, http.client, json, os, re, signal, socket, struct, subprocess, sys, tempfile, threading, time
import email as mail
from aiosmtpd.controller import Controller
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.validators import RefResolver

PASSWORD = "correct horse battery staple"
SERVICE = "0123456789abcdef-service"
document = json.load(open("server/ops/openapi.json", encoding="utf-8"))
failures, answered = [], set()


class Mailbox:
    """An SMTP server that keeps what it is given."""

    def __init__(self):
        self.lock, self.mails = threading.Condition(), []

    async def handle_DATA(self, _server, _session, envelope):
        with self.lock:
            self.mails.append((envelope.rcpt_tos[0], mail.message_from_bytes(envelope.content)))
            self.lock.notify_all()
        return "250 OK"

    def token(self, address, after=0):
        """The token of the latest mail with a link to an address, waiting for it up to ten seconds."""
        until = time.monotonic() + 10
        with self.lock:
            while True:
                for to, message in reversed(self.mails[after:]):
                    found = to == address and re.search(r"#token=([A-Za-z0-9_-]+)", text_of(message))
                    if found:
                        return found.group(1)
                if not self.lock.wait(until - time.monotonic()):
                    raise SystemExit(f"no mail with a link came for {address}")


def text_of(message):
    for part in message.walk():
        if part.get_content_type() == "text/plain":
            return part.get_payload(decode=True).decode()
    return ""


def template_of(path):
    """The path of the document that a request's path belongs to; exact ones go before patterns."""
    if path in document["paths"]:
        return path
    for pattern in document["paths"]:
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", pattern), path):
            return pattern
    return None


def resolve(node):
    while "$ref" in node:
        place = document
        for step in node["$ref"][2:].split("/"):
            place = place[step.replace("~1", "/").replace("~0", "~")]
        node = place
    return node


def check(method, path, reply, body):
    operation = document["paths"].get(template_of(path) or "", {}).get(method.lower())
    where = f"{method} {path} {reply.status}"
    if operation is None:
        failures.append(f"{where}: no such operation in the document")
        return
    response = operation["responses"].get(str(reply.status))
    if response is None:
        failures.append(f"{where}: this status is not in the document: {body[:200]}")
        return
    response = resolve(response)
    if reply.status < 300:
        answered.add(operation["operationId"])
        for name in response.get("headers", {}):
            if name == "X-Event-Id" and operation["operationId"] == "login":
                continue
            if not reply.headers.get(name):
                failures.append(f"{where}: lacks the header {name}")
    kind = (reply.headers.get("Content-Type") or "").split(";")[0]
    content = response.get("content", {})
    if kind not in content:
        failures.append(f"{where}: comes as {kind!r}, the document has {list(content)}")
        return
    if kind.endswith("json"):
        schema = dict(content[kind]["schema"], components=document["components"])
        resolver = RefResolver.from_schema(schema)
        checker = Draft202012Validator(schema, resolver=resolver, format_checker=FormatChecker())
        for error in checker.iter_errors(json.loads(body)):
            failures.append(f"{where}: {error.json_path}: {error.message}")


class Server:
    def __init__(self, program, folder, smtp_port):
        self.program, self.config = program, os.path.join(folder, "config.json")
        settings = {
            "listen": "127.0.0.1:0", "store": f"sqlite:{folder}/store.db",
            "password": {"memory_kib": 64, "passes": 1},
            "throttle": {"account": {"free": 3, "first": "10m"}},
            "services": {"shop": {"token": SERVICE, "types": ["order.*"], "introspect": True}},
            "effects": {"email": {"type": "email", "on": ["user.*"], "delivery": "durable", "from": "auth@example.com",
                                  "url": f"smtp://127.0.0.1:{smtp_port}", "template": "config/templates"},
                        "bus": {"type": "bus", "format": "json", "on": ["user.login"], "delivery": "durable",
                                "url": "http://127.0.0.1:9/", "timeout": "1s", "retry": {"max_attempts": 1}}},
        }
        json.dump(settings, open(self.config, "w", encoding="utf-8"))
        self.command("user", "add", "root", "--admin", "--password-stdin")
        self.command("user", "add", "alice", "--email", "alice@example.com", "--password-stdin")
        self.process = subprocess.Popen([program, "serve", "-c", self.config], stderr=subprocess.PIPE, text=True)
        self.log = []
        for line in self.process.stderr:
            self.log.append(line)
            entry = json.loads(line)
            if entry["message"] == "listening":
                self.address = entry["address"]
                break
        else:
            raise SystemExit("the server does not start: " + "".join(self.log))
        threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True).start()

    def command(self, *words):
        subprocess.run([self.program, *words, "-c", self.config], input=PASSWORD + "\n", text=True, check=True,
                       capture_output=True)

    def call(self, method, path, body=None, token=None, headers=(), expect=None):
        connection = http.client.HTTPConnection(self.address, timeout=20)
        sent = dict(headers)
        if token:
            sent["Authorization"] = "Bearer " + token
        if body is not None and not isinstance(body, str):
            body, sent["Content-Type"] = json.dumps(body), "application/json"
        connection.request(method, path, body, sent)
        reply = connection.getresponse()
        text = reply.read().decode()
        connection.close()
        check(method, path.split("?")[0], reply, text)
        if expect is not None and reply.status != expect:
            failures.append(f"{method} {path}: {reply.status} and not {expect}: {text[:300]}")
        return json.loads(text) if "json" in (reply.headers.get("Content-Type") or "") else text

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def totp(secret, ahead=0):
    step = struct.pack(">Q", int(time.time()) // 30 + ahead)
    digest = hmac.new(base64.b32decode(secret), step, hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at:at + 4])[0] & 0x7fffffff) % 1000000:06}"


def log_in(server, name, password=PASSWORD):
    return server.call("POST", "/login", {"username": name, "password": password}, expect=200)


def public(server):
    for path in ("/health/live", "/health/ready", "/.well-known/jwks.json", "/openapi.json", "/metrics", "/signup",
                 "/email/verify", "/password/reset"):
        server.call("GET", path, expect=200)


def refusals(server):
    server.call("POST", "/login", {"username": "nobody", "password": PASSWORD}, expect=401)
    server.call("POST", "/login", {"username": "nobody"}, expect=400)
    server.call("POST", "/login", "username=nobody", headers={"Content-Type": "text/plain"}, expect=415)
    server.call("POST", "/login", {"username": "x" * 20000, "password": PASSWORD}, expect=413)
    for _ in range(4):
        last = server.call("POST", "/login", {"username": "somebody", "password": PASSWORD})
    if last["status"] != 429:
        failures.append(f"the throttle does not answer: {last}")
    server.call("GET", "/me", expect=401)
    server.call("GET", "/me", token="x.y.z", expect=401)
    server.call("POST", "/token/refresh", {"refresh_token": "no"}, expect=401)
    server.call("POST", "/introspect", {"token": "x"}, expect=401)
    server.call("POST", "/password/reset", {"token": "no", "password": PASSWORD}, expect=400)


def account(server, box):
    server.call("POST", "/signup", {"email": "bob@example.com", "username": "bob", "password": PASSWORD}, expect=202)
    link = box.token("bob@example.com")
    server.call("POST", "/email/verify", {"token": link}, expect=201)
    server.call("POST", "/email/verify", {"token": link}, expect=400)
    mails = len(box.mails)
    server.call("POST", "/password/forgot", {"email": "bob@example.com"}, expect=202)
    server.call("POST", "/password/forgot", {"email": "nobody@example.com"}, expect=202)
    another = PASSWORD + " again"
    server.call("POST", "/password/reset", {"token": box.token("bob@example.com", mails), "password": another}, expect=200)
    tokens = log_in(server, "bob", another)
    access = tokens["access_token"]
    server.call("GET", "/me", token=access, expect=200)
    server.call("GET", "/events/" + tokens["event_id"], token=access, expect=200)
    server.call("GET", "/events/" + "0" * 26, token=access, expect=404)
    refreshed = server.call("POST", "/token/refresh", {"refresh_token": tokens["refresh_token"]}, expect=200)
    for token in (refreshed["access_token"], refreshed["refresh_token"], "garbage"):
        server.call("POST", "/introspect", "token=" + token, token=SERVICE,
                    headers={"Content-Type": "application/x-www-form-urlencoded"}, expect=200)
    server.call("GET", "/admin/users", token=access, expect=403)
    other = log_in(server, "bob", another)
    sessions = server.call("GET", "/me/sessions", token=access, expect=200)["sessions"]
    mine = [session["id"] for session in sessions if not session["current"]]
    server.call("DELETE", "/me/sessions/" + mine[0], token=access, expect=200)
    server.call("DELETE", "/me/sessions/" + mine[0], token=access, expect=404)
    server.call("GET", "/me", token=other["access_token"], expect=401)
    server.call("POST", "/password/change", {"current_password": "wrong", "new_password": PASSWORD}, token=access, expect=403)
    server.call("POST", "/password/change", {"current_password": another, "new_password": PASSWORD}, token=access, expect=200)
    server.call("POST", "/me/totp/confirm", {"code": "123456"}, token=access, expect=409)
    secret = server.call("POST", "/me/totp", {"password": PASSWORD}, token=access, expect=200)["secret"]
    codes = server.call("POST", "/me/totp/confirm", {"code": totp(secret, -1)}, token=access, expect=200)["recovery_codes"]
    first = log_in(server, "bob")
    server.call("POST", "/login/totp", {"mfa_token": first["mfa_token"], "code": "000000"}, expect=401)
    server.call("POST", "/login/totp", {"mfa_token": first["mfa_token"], "code": totp(secret)}, expect=200)
    server.call("DELETE", "/me/totp", {"password": PASSWORD, "code": codes[0]}, token=access, expect=200)
    server.call("POST", "/logout", {"all": True}, token=access, expect=200)
    server.call("POST", "/logout", token=access, expect=401)


def service(server):
    event = {"type": "order.paid", "subject": "42", "data": {"total": 12}}
    key = {"Idempotency-Key": "order-42"}
    server.call("POST", "/events", event, token=SERVICE, headers=key, expect=202)
    server.call("POST", "/events", dict(event, subject="43"), token=SERVICE, headers=key, expect=422)
    server.call("POST", "/events", event, token="nobody's", expect=401)
    server.call("POST", "/events", dict(event, type="user.login"), token=SERVICE, expect=403)


def administration(server, box):
    admin = log_in(server, "root")["access_token"]
    log_in(server, "alice")
    made = server.call("POST", "/admin/users", {"username": "dave", "email": "dave@example.com", "password": PASSWORD},
                       token=admin, expect=201)["user"]["id"]
    server.call("POST", "/admin/users", {"username": "dave", "password": PASSWORD}, token=admin, expect=409)
    for path in ("/admin/users?search=da", f"/admin/users/{made}", "/admin/overview", "/admin/audit?type=user.*&limit=5",
                 "/admin/targets", "/admin/effects?state=all"):
        server.call("GET", path, token=admin, expect=200)
    for change in ("disable", "enable", "require-reset", "revoke"):
        server.call("POST", f"/admin/users/{made}/{change}", token=admin, expect=200)
    server.call("DELETE", f"/admin/users/{made}", token=admin, expect=200)
    server.call("GET", f"/admin/users/{made}", token=admin, expect=404)
    server.call("POST", "/admin/invitations", {"email": "carol@example.com"}, token=admin, expect=201)
    server.call("POST", "/signup", {"invite_token": box.token("carol@example.com"), "password": PASSWORD}, expect=201)
    entry = server.call("GET", "/admin/effects?state=all&effect=bus", token=admin)["effects"][0]
    server.call("GET", "/admin/effects/" + entry["id"], token=admin, expect=200)
    server.call("GET", "/admin/effects/" + "0" * 26 + "-bus", token=admin, expect=404)
    for change in ("replay", "discard"):
        server.call("POST", "/admin/effects/" + change, {"effect": "bus", "dry_run": True}, token=admin, expect=200)
    server.call("POST", "/admin/targets/bus/pause?reason=test", token=admin, expect=200)
    server.call("POST", "/admin/targets/bus/resume", token=admin, expect=200)
    server.call("POST", "/admin/targets/none/pause", token=admin, expect=404)
    server.call("POST", "/admin/sessions/revoke", {"all": False}, token=admin, expect=400)
    server.call("POST", "/admin/sessions/revoke", {"all": True}, token=admin, expect=200)
    server.call("GET", "/admin/overview", token=admin, expect=401)


def main():
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:  # aiosmtpd takes no port 0
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(os.path.abspath(sys.argv[1]), folder, port)
        try:
            public(server)
            account(server, box)
            service(server)
            administration(server, box)
            refusals(server)
        finally:
            code = server.stop()
            controller.stop()
    if code != 0:
        failures.append(f"the server ended with {code}")
    every = {operation["operationId"] for path in document["paths"].values() for operation in path.values()}
    for missing in sorted(every - answered):
        failures.append(f"{missing}: never answered as the document says")
    print(f"{len(answered)} of {len(every)} operations answered as the document says")
    for failure in failures:
        print(failure)
    return 1 if failures else 0


sys.exit(main())
