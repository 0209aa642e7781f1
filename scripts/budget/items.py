"""What has a budget: requests to the real server, and effects that it delivers, one after the other.

One connection, one request thread a crew and one hash thread, so that warm-up reaches all that serves: statements are
prepared once a thread, and a second thread would share the requests in an order that the machine decides.
"""

import dataclasses
import itertools
import json
import socket
import sqlite3
import statistics
import time
import typing

from callgrind import CountedServer, Failed
from processes import Process, SUPPORT
from server import PASSWORD, USER

SERVICE = "a-service-of-the-budgets"
ROUNDS = 3  # of each item; the middle one is its figure
WARM = 20
SIGNATURES = 10  # access tokens in turn: what a signature costs to verify is its own, by a hundredth
SETTLE_S = 60
PENDING, DELIVERED = 0, 1  # enum effect_state
# What a login costs without the password's hash: these functions are taken off, with all that they call.
HASH = ("argon_verify", "arena_wipe")
TEMPLATE = "Subject: Your order {{order}}\n\nIt is paid.\n"
# The receivers answer after so long: an effect's start is committed by then, and its outcome is a commit of its own. At
# once, the two would share one or not, as the machine pleases.
RECEIVER_MS = 100


class Client:
    """One connection that is kept; a request is one segment, or the server's turns would depend on the network."""

    def __init__(self, url):
        host, port = url.removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def receive(self, got):
        more = self.socket.recv(65536)
        if not more:
            raise Failed("the server has closed the connection")
        return got + more

    def do(self, method, path, body=None, token=None):
        """The answer's JSON; Failed if it is none of success."""
        head = f"{method} {path} HTTP/1.1\r\nHost: budget\r\n"
        if token:
            head += f"Authorization: Bearer {token}\r\n"
        data = b"" if body is None else json.dumps(body).encode()
        if data:
            head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
        self.socket.sendall(head.encode() + b"\r\n" + data)
        reply = b""
        while b"\r\n\r\n" not in reply:
            reply = self.receive(reply)
        head, _, data = reply.partition(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n")
                      if line.lower().startswith(b"content-length:"))
        while len(data) < length:
            data = self.receive(data)
        status = int(head[9:12])
        if not 200 <= status < 300:
            raise Failed(f"{method} {path}: {status} {data[:300]}")
        return json.loads(data)


class Scene:
    """A server with what the items need: receivers, a client, tokens."""

    def __init__(self, folder, more):
        folder.mkdir(parents=True)
        (folder / "order.mail.txt").write_text(TEMPLATE)
        self.receivers = [Process([SUPPORT / program, "--port", 0, "--latency-ms", RECEIVER_MS], f"{folder}/{program}.log")
                          for program in ("http_sink", "smtp_sink")]
        http, smtp = (process.await_line(self.port) for process in self.receivers)
        self.server = CountedServer(
            folder / "server", None, None,
            effects={
                "bus": {"type": "bus", "on": ["order.http"], "delivery": "durable", "url": f"http://127.0.0.1:{http}/"},
                "email": {"type": "email", "on": ["order.mail"], "delivery": "durable", "url": f"smtp://127.0.0.1:{smtp}",
                          "from": "auth@example.com", "to": "bob@example.com", "template": str(folder)},
            },
            password={"memory_kib": 8, "passes": 1, "slots": 1}, services={"budget": {"token": SERVICE}},
            more={"requests": {"login": {"threads": 1}, "other": {"threads": 1}}, **more})
        self.client = Client(self.server.url)
        self.store = sqlite3.connect(f"file:{self.server.store.removeprefix('sqlite:')}?mode=ro", uri=True)
        self.access = itertools.cycle([self.login()["access_token"] for _ in range(SIGNATURES)])

    def login(self):
        self.tokens = self.client.do("POST", "/login", {"username": USER, "password": PASSWORD})
        return self.tokens

    def refresh(self):
        self.tokens = self.client.do("POST", "/token/refresh", {"refresh_token": self.tokens["refresh_token"]})

    def me(self):
        self.client.do("GET", "/me", token=next(self.access))

    def event(self, kind="order.paid"):
        return self.client.do("POST", "/events", {"type": kind, "subject": "", "data": {"order": 1}}, token=SERVICE)

    def settle(self, kind):
        """An event, and its effect until its row says delivered."""
        event = self.event(kind)["event_id"]
        until = time.monotonic() + SETTLE_S
        while True:
            state, reason = self.store.execute("SELECT state, reason FROM effects JOIN events ON events.id = event"
                                               " WHERE event_id = ?", (event,)).fetchone()
            if state == DELIVERED:
                return
            if state != PENDING or time.monotonic() > until:
                raise Failed(f"{kind}: its effect was not delivered: {reason or 'too late'}")
            time.sleep(0.01)

    def http(self):
        self.settle("order.http")

    def mail(self):
        self.settle("order.mail")

    def close(self):
        self.store.close()
        self.client.socket.close()
        for process in (self.server, *self.receivers):
            process.stop()

    @staticmethod
    def port(line):
        return line.startswith("listening ") and int(line.rsplit(":", 1)[1])


@dataclasses.dataclass
class Item:
    name: str
    act: typing.Callable[[Scene], None]
    count: int  # of one round
    without: tuple = ()  # functions whose cost is taken off, callees included


@dataclasses.dataclass
class Bench:
    """One server, and what is measured with it."""

    name: str
    items: list
    settings: dict = dataclasses.field(default_factory=dict)


BENCHES = [
    Bench("usual", [
        Item("me", Scene.me, 200),
        Item("refresh", Scene.refresh, 100),
        Item("login", Scene.login, 100, without=HASH),
        Item("event", Scene.event, 100),
        Item("http_effect", Scene.http, 30),
        Item("mail_effect", Scene.mail, 30),
    ]),
    Bench("no_cache", [Item("me_uncached", Scene.me, 200)], {"token": {"cache": 0}}),
]


def names():
    return [item.name for bench in BENCHES for item in bench.items]


def one_round(scene, item):
    """Instructions and allocations of one act, on average."""
    scene.server.zero()
    for _ in range(item.count):
        item.act(scene)
    profile = scene.server.dump()
    spared = [profile.inclusive.get(function, 0) for function in item.without]
    if 0 in spared:
        raise Failed(f"{item.name}: one of {', '.join(item.without)} was never called: what is to be taken off?")
    return (profile.instructions - sum(spared)) / item.count, profile.allocations / item.count


def middle(rounds):
    return tuple(statistics.median(values) for values in zip(*rounds))


def plant(scene):
    """What `me` costs if one request in ten is sent twice."""
    turn = iter(range(10**9))

    def act(self):
        self.me()
        if next(turn) % 10 == 0:
            self.me()

    return one_round(scene, Item("planted", act, 200))


def measure(bench, wanted, folder):
    """Figures by name, and `planted` beside `me`."""
    scene, figures = Scene(folder / bench.name, bench.settings), {}
    for item in wanted:
        for _ in range(min(WARM, item.count)):
            item.act(scene)
        figures[item.name] = middle([one_round(scene, item) for _ in range(ROUNDS)])
        if item.name == "me":
            figures["planted"] = plant(scene)
    scene.close()
    return figures
