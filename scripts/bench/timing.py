"""What the clock tells of an account, and what a crowd of slow clients costs the others."""

import contextlib
import ctypes
import gc
import json
import math
import os
import random
import resource
import socket
import sqlite3
import statistics
import sys
import time

from load import Timed, open_loop, percentile
from processes import Failed, Process, machine_idle
from server import PASSWORD, USER

ACCOUNTS = 25  # of each class, so that none comes to the limits of one account
INTERVAL_S = 0.040  # between two logins: what the one before has left to do is over by then
SAMPLES = 2000
SAMPLES_QUICK = 200
SLOW = 10_000
LIMITS = {"account": {"free": 100, "hard": 100}, "address": {"burst": 1_000_000}}


def mann_whitney(a, b):
    """Two-sided p by the normal approximation, corrected for ties and for continuity (Mann and Whitney, 1947)."""
    ranked = sorted([(x, 0) for x in a] + [(x, 1) for x in b])
    n, m, total = len(a), len(b), len(a) + len(b)
    rank_sum = ties = start = 0
    while start < total:
        end = start
        while end < total and ranked[end][0] == ranked[start][0]:
            end += 1
        rank = (start + 1 + end) / 2
        rank_sum += rank * sum(1 for _, group in ranked[start:end] if group == 0)
        ties += (end - start) ** 3 - (end - start)
        start = end
    u = rank_sum - n * (n + 1) / 2
    sigma = math.sqrt(n * m / 12 * (total + 1 - ties / (total * (total - 1))))
    if sigma == 0:
        return 1.0
    z = max(0.0, abs(u - n * m / 2) - 0.5) / sigma
    return math.erfc(z / math.sqrt(2))


class Client:
    """One connection that is kept; the time from the first byte sent to the first bytes of the answer."""

    def __init__(self, url):
        host, port = url.removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @staticmethod
    def request(name, password):
        body = json.dumps({"username": name, "password": password})
        return (f"POST /login HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}").encode()

    def login(self, request):
        """Status and milliseconds."""
        start = time.perf_counter_ns()
        self.socket.sendall(request)
        reply = self.socket.recv(65536)
        took = (time.perf_counter_ns() - start) / 1e6
        head, _, body = reply.partition(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n")
                      if line.lower().startswith(b"content-length:"))
        while len(body) < length:
            body += self.socket.recv(65536)
        return int(reply[9:12]), took

    def close(self):
        self.socket.close()


def hashed(password):
    """As the server stores it by default, with a salt of its own: each salt has a time of its own, by about one in a hundred."""
    sodium = ctypes.CDLL("libsodium.so.23")
    text = ctypes.create_string_buffer(128)
    if sodium.sodium_init() < 0 or sodium.crypto_pwhash_str(
            text, password.encode(), ctypes.c_ulonglong(len(password)), ctypes.c_ulonglong(2),
            ctypes.c_size_t(19456 * 1024)) != 0:
        raise Failed("libsodium makes no hash")
    return text.value.decode()


def make_accounts(server, classes):
    """Names of one length, rows that are alice's but for that and the salt, in the store of a server that does not run."""
    words = random.Random(1)
    names = {kind: [f"user{words.randrange(16 ** 8):08x}" for _ in range(ACCOUNTS)] for kind in classes}
    db = sqlite3.connect(server.store.removeprefix("sqlite:"))
    with contextlib.closing(db), db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(users)")]
        row = dict(zip(columns, db.execute("SELECT * FROM users WHERE username = ?", (USER,)).fetchone()))
        del row["id"]
        # not one class after another: rows and pages of all are among each other
        order = [(kind, name) for kind in classes for name in names[kind]]
        words.shuffle(order)
        for number, (kind, name) in enumerate(order):
            if kind == "unknown":
                continue
            row.update(username=name, username_key=name, password=hashed(PASSWORD), email=f"{name}@example.com", email_key=f"{name}@example.com",
                       public_id=f"01J{number:023d}", disabled=int(kind == "disabled"),
                       locked_ms=int(time.time() * 1000) * (kind == "locked"), failures=100 * (kind == "locked"))
            db.execute(f"INSERT INTO users ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
                       list(row.values()))
    return names


def measure(server, names, count):
    """Milliseconds by class: one of each class a round, in random order, at a fixed rate."""
    wrong = PASSWORD[:-1] + "?"
    # the right one for those that are locked or disabled: that it is right must not show either
    passwords = {kind: PASSWORD if kind in ("locked", "disabled") else wrong for kind in names}
    requests = {kind: [Client.request(name, passwords[kind]) for name in names[kind]] for kind in names}
    samples = {kind: [] for kind in names}
    client = Client(server.url)
    late = 0
    gc.disable()
    due = time.perf_counter()
    for number in range(-20, count):
        for kind in random.sample(list(names), len(names)):
            due += INTERVAL_S
            pause = due - time.perf_counter()
            late += pause < 0
            if pause > 0:
                time.sleep(pause)
            status, took = client.login(requests[kind][number % ACCOUNTS])
            if status != 401:
                raise Failed(f"{kind}: {status} and not 401")
            if number >= 0:
                samples[kind].append(took)
    gc.enable()
    client.close()
    return samples, late / (count * len(names))


def compare(bench, samples):
    """The greatest ratio of medians and the least p, all pairs printed."""
    medians = {kind: statistics.median(values) for kind, values in samples.items()}
    for kind, values in samples.items():
        bench.say(f"    {kind:9} median {medians[kind]:8.4f}  p10 {percentile(values, 10):8.4f}"
                  f"  p90 {percentile(values, 90):8.4f} ms, {len(values)} samples")
    worst, least = 1.0, 1.0
    kinds = list(samples)
    for i, one in enumerate(kinds):
        for other in kinds[i + 1:]:
            ratio = max(medians[one], medians[other]) / min(medians[one], medians[other])
            p = mann_whitney(samples[one], samples[other])
            worst, least = max(worst, ratio), min(least, p)
            bench.say(f"    {one:9} and {other:9} medians differ by {(ratio - 1) * 100:6.3f} %, p {p:.4f}")
    return worst, least


def clock_tells(bench):
    """Whether the clock tells unknown, wrong, locked and disabled apart."""
    count = SAMPLES_QUICK if bench.quick else SAMPLES
    bench.say(f"unknown name, wrong password, locked, disabled: {count} logins each, {1 / INTERVAL_S:.0f} a second,"
              " in random order, four durable effects configured")
    classes = ("unknown", "wrong", "locked", "disabled")
    sinks = bench.sinks("j-sinks", 0)
    server = bench.server("j", "durable", sinks.ports, more={"throttle": LIMITS})
    server.login()
    server.stop()
    names = make_accounts(server, classes)
    server.start()
    start, idle, used = time.monotonic(), machine_idle(), server.process.cpu() + time.process_time()
    samples, late = measure(server, names, count)
    available = (time.monotonic() - start) * os.cpu_count()
    used = server.process.cpu() + time.process_time() - used
    foreign = max(0.0, 1 - (machine_idle() - idle + used) / available)
    Timed.most_foreign = max(Timed.most_foreign, foreign)
    worst, least = compare(bench, samples)
    if late > 0:
        bench.say(f"    {late:.1%} of the logins were late: this machine is too busy, or too slow for the interval")
    bench.say(f"    [CPU: server and client {used / available:.0%}, others {foreign:.0%}]")
    server.stop()
    sinks.stop()
    bench.result("medians of unknown, wrong, locked, disabled: greatest ÷ least", worst, "", 1.01)
    bench.result("Mann-Whitney p of the pair told apart best", least, "", 0.01, higher=True)


def await_slow(crowd, server):
    """Until all of the crowd is there; how many the server counts."""
    crowd.await_line(lambda line: line.startswith("connected "), 60)
    return server.metrics("tokenfirst_connections_open")


def slow_crowd(bench):
    """Clients that drip their requests, and the logins of others beside them."""
    rate = 20 if bench.saturated is None else bench.saturated / 4
    bench.say(f"{SLOW:,} connections that drip headers or bodies; logins of others at {rate:.0f}/s")
    server = bench.server("k", None, None, more={"http": {"connections": SLOW + 2000}})
    Timed(server).run(open_loop(f"{server.url}/login", rate, 2), bench.folder)
    samples = {"without": [], "with": []}
    open_least = math.inf
    for number in range(bench.times["rounds"]):
        for name in samples:
            crowd = None
            if name == "with":
                crowd = Process([sys.executable, __file__, server.url, SLOW], bench.folder / f"crowd-{number}.log")
                await_slow(crowd, server)
            path = bench.folder / f"k-{name}-{number}.ms"
            timed = Timed(server, None, crowd, "crowd")
            load = timed.run(open_loop(f"{server.url}/login", rate, bench.times["round"], samples=path), bench.folder)
            samples[name] += [float(line) for line in path.read_text().split()]
            there = server.metrics("tokenfirst_connections_open")
            if crowd:
                open_least = min(open_least, there)
                crowd.stop(5)
                wait_closed(server)
            bench.say(f"    {name:8} p50 {load['ms']['p50']:7.2f}  p99 {load['ms']['p99']:7.2f} ms, {load['ok']}/"
                      f"{load['sent']} ok, {there:,.0f} connections, {server.process.memory():.0f} MiB"
                      f"   [CPU: {timed.text()}]")
    p99 = {name: percentile(values, 99) for name, values in samples.items()}
    bench.say(f"    pooled p99: {p99['without']:.2f} ms without, {p99['with']:.2f} ms with")
    server.stop()
    if open_least < SLOW * 0.9:
        bench.say(f"    only {open_least:,.0f} connections were open: ulimit -n of this shell is too low?")
    bench.result("login p99 beside 10,000 slow connections ÷ without", p99["with"] / p99["without"], "", 1.20)


def wait_closed(server):
    until = time.monotonic() + 20
    while server.metrics("tokenfirst_connections_open") > 100 and time.monotonic() < until:
        time.sleep(0.1)


PARTS = {"clock": clock_tells, "slow": slow_crowd}


class SlowCrowd:
    """A program of its own: so many connections from several addresses, a byte each every few seconds, anew when cut off."""

    HEAD = b"POST /login HTTP/1.1\r\nHost: bench\r\nX-Slow: "
    BODY = b"POST /login HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n{"
    EVERY_S = 4

    def __init__(self, url, count):
        host, port = url.removeprefix("http://").split(":")
        self.address = (host, int(port))
        self.sockets = [None] * count
        self.fresh = set()  # connected, and nothing sent yet

    def connect(self, number):
        one = socket.socket()
        one.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: the port is chosen as it connects
        one.bind((f"127.0.1.{1 + number % 8}", 0))
        one.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            one.connect(self.address)
        self.sockets[number] = one
        self.fresh.add(number)

    def drop(self, number):
        if self.sockets[number]:
            self.sockets[number].close()
        self.sockets[number] = None

    def send(self, number, data):
        try:
            self.sockets[number].send(data)
        except OSError:
            self.drop(number)

    def greet(self, number):
        self.fresh.discard(number)
        self.send(number, self.BODY if number % 2 else self.HEAD)

    def drip(self, number):
        one = self.sockets[number]
        try:
            if one is None:
                self.connect(number)
            elif number in self.fresh:
                self.greet(number)
            elif one.recv(1024) == b"":
                raise OSError  # cut off; what else it says nobody reads
        except BlockingIOError:
            self.send(number, b"a")
        except OSError:
            self.drop(number)

    def begin(self):
        for number in range(len(self.sockets)):
            self.connect(number)
            if number % 100 == 99:
                time.sleep(0.01)
        time.sleep(0.5)
        for number in range(len(self.sockets)):
            self.greet(number)
        print(f"connected {len(self.sockets)}", flush=True)

    def run(self):
        self.begin()
        batch = max(1, len(self.sockets) * 10 // (self.EVERY_S * 1000))  # every 10 ms
        number, due = 0, time.monotonic()
        while True:
            for _ in range(batch):
                self.drip(number)
                number = (number + 1) % len(self.sockets)
            due += 0.01
            time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.nice(5)  # it stands for other machines
    SlowCrowd(sys.argv[1], int(sys.argv[2])).run()
