"""What grows, and what that costs: effects pending, connections, accounts; memory and the time of a start.

Each part keeps its rows as DATA/growth-NAME.csv, which plots.py draws.
"""

import contextlib
import csv
import json
import os
import random
import resource
import socket
import statistics
import time
import urllib.error

from load import Timed, open_loop, wrk, wrk_events
from processes import SUPPORT, Failed, http
from server import LOGIN_BODY, PASSWORD, USER
from sinks import Sink
from tables import Table

TOKEN = "a-token-of-the-benchmark"
ORDER = '{"type":"seed.made","subject":"42","data":{"total":12}}'
NEVER_MS = 600_000  # longer than any benchmark
EVENTS_RATE = 500
CLOSED_LOOP = 16  # connections that wait for each reply
STARTS = 5
CONNECTIONS = 1000  # of which memory is measured
LOGINS = 256  # over them, so that every request thread and password slot has had work
CHEAP = {"memory_kib": 8, "passes": 1}  # where it is not the hash that is measured


def sizes(bench, full, quick):
    return quick if bench.quick else full


def seconds(bench):
    return 1 if bench.quick else 4


def keep(bench, name, rows):
    with open(bench.data / f"growth-{name}.csv", "w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def say_table(bench, rows):
    table = Table(*(name.replace("_", " ") for name in rows[0]))
    for row in rows:
        table.add(*(f"{value:,.1f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value
                    for value in row.values()))
    bench.say(table.text())


# effects pending, start-up, memory


def backlog_server(bench, port, count):
    """One that does not run any more, with so many effects pending."""
    effects = {"dead": {"type": "bus", "format": "json", "on": ["seed.*"], "delivery": "durable", "timeout": "5s",
                        "url": f"http://127.0.0.1:{port}/", "max_pending": 100_000_000}}
    server = bench.server(f"growth-{count}", None, effects=effects, services={"bench": {"token": TOKEN}})
    server.stop()
    if count > 0:
        seed_effects(bench, server, count)
    return server


def seed_effects(bench, server, count):
    words = [SUPPORT / "seed_outbox", "--store", server.store, "--effect", "dead", "--count", count]
    took = Timed().run(words, bench.folder)["seconds"]
    bench.say(f"    {count:,} effects written in {took:.0f} s")


def events(bench, server, pending):
    """Events a second, and the latency of them at a fixed rate."""
    closed = Timed(server).run(wrk_events(f"{server.url}/events", seconds(bench), TOKEN), bench.folder)
    timed = Timed(server)
    opened = timed.run(open_loop(f"{server.url}/events", EVENTS_RATE, seconds(bench), body=ORDER,
                                 headers=[f"Authorization: Bearer {TOKEN}"]), bench.folder)
    if closed["bad_status"] or closed["socket_errors"] or opened["ok"] < opened["sent"]:
        raise Failed(f"events were refused: {closed}, {opened}")
    return {"pending": pending, "events_per_second": closed["requests"] / closed["seconds"],
            "p50_ms": opened["ms"]["p50"], "p99_ms": opened["ms"]["p99"], "foreign": timed.foreign}


def await_ready(server):
    """Seconds from the start of the process to the first 200 of /health/ready."""
    while time.monotonic() - server.process.started < 30:
        with contextlib.suppress(urllib.error.URLError, OSError):
            http("GET", f"{server.url}/health/ready")
            return time.monotonic() - server.process.started
        time.sleep(0.001)
    raise Failed("it was not ready within 30 s")


def starts(bench, server, called, kill=False):
    """Median milliseconds to the listening line, to readiness, and CPU time until then, of several starts."""
    rows = []
    for number in range(2 if bench.quick else STARTS):
        if kill:
            # the log has what the kernel has not yet been told to copy
            Timed(server).run(wrk_events(f"{server.url}/events", 1, TOKEN), bench.folder)
            server.kill()
        else:
            server.stop()
        listening = server.start()
        rows.append((listening * 1000, await_ready(server) * 1000, server.cpu() * 1000))
    listening, ready, cpu = (statistics.median(column) for column in zip(*rows))
    return {"store": called, "listening_ms": listening, "ready_ms": ready, "cpu_ms": cpu}


def settled_memory(server):
    """MiB, once it has had time to load what it holds of a backlog."""
    time.sleep(2)
    return server.process.memory()


def backlog(bench):
    """Events a second with none, some and many pending; memory, and the time of a start, with none and with many."""
    counts = sizes(bench, (0, 10_000, 1_000_000), (0, 1_000, 50_000))
    bench.say(f"POST /events, one durable effect each, with {counts[1]:,} and {counts[2]:,} pending, against none; start-up")
    folder = bench.folder / "growth-sinks"
    folder.mkdir()
    dead = Sink(folder, "dead", NEVER_MS)
    rows, ups, memory = [], [], {}
    for count in counts:
        server = backlog_server(bench, dead.port, count)
        server.start()
        memory[count] = settled_memory(server)
        if count in (counts[0], counts[-1]):
            ups.append(starts(bench, server, f"{count:,} pending"))
        rows.append(events(bench, server, count))
        if count == counts[-1]:
            ups.append(starts(bench, server, f"{count:,} pending, SIGKILL", kill=True))
        server.stop()
    dead.stop()
    keep(bench, "backlog", rows)
    keep(bench, "start", ups)
    say_table(bench, rows)
    say_table(bench, ups)
    bench.say("    resident: " + ", ".join(f"{mib:.1f} MiB with {count:,} pending" for count, mib in memory.items()))
    most = counts[-1]
    bench.result(f"events/s with {most:,} pending ÷ with none", rows[-1]["events_per_second"] / rows[0]["events_per_second"],
                 "", 0.9, higher=True)
    bench.result(f"memory that {most:,} pending add", memory[most] - memory[0], " MiB", 32)
    bench.result(f"start to ready with {most:,} pending ÷ with an empty store", ups[1]["ready_ms"] / ups[0]["ready_ms"], "", 10)
    bench.result("start to ready after SIGKILL under load ÷ with an empty store", ups[2]["ready_ms"] / ups[0]["ready_ms"], "", 10)


# connections


def allow_descriptors(count):
    """For us and those we start; how many there may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        count = min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
        soft = count
    return count if soft == resource.RLIM_INFINITY else soft


def over_connections(bench, server, sinks, route, count, token):
    """Throughput of clients that wait for each reply; latency from intended send times at half of it."""
    env = {"TOKENFIRST_TOKEN": token} if route == "/me" else None
    timed = Timed(server, sinks)
    closed = timed.run(wrk(server.url + route, seconds(bench), count, "me" if env else "login", env), bench.folder)
    good = closed["requests"] - closed["bad_status"]
    rate = good / closed["seconds"]
    request = {"method": "GET", "body": None, "headers": [f"Authorization: Bearer {token}"]} if env else {}
    opened = Timed(server, sinks).run(open_loop(server.url + route, rate / 2, seconds(bench), connections=count, **request),
                                      bench.folder)
    return {"route": route, "connections": count, "per_second": rate,
            "refused_percent": 100 * closed["bad_status"] / max(1, closed["requests"]), "p50_ms": opened["ms"]["p50"],
            "p99_ms": opened["ms"]["p99"], "foreign": timed.foreign}


def connections(bench):
    """Throughput and p99 of GET /me and of logins over the number of connections."""
    bench.say("GET /me and POST /login over connections: throughput of clients that wait for each reply, and latency from"
              " intended send times at half of it; four durable effects a login")
    counts = [n for n in sizes(bench, (1, 16, 256, 4096), (1, 16, 256)) if n + 200 <= allow_descriptors(n + 200)]
    sinks = bench.sinks("growth-connections-sinks", 0)
    server = bench.server("growth-connections", "durable", sinks.ports, more={"http": {"connections": 6000}})
    token = server.login()["access_token"]
    rows = [over_connections(bench, server, sinks, route, count, token) for route in ("/me", "/login") for count in counts]
    server.stop()
    sinks.stop()
    keep(bench, "connections", rows)
    say_table(bench, rows)
    rates = {(row["route"], row["connections"]): row["per_second"] for row in rows}
    for route in ("/me", "/login"):
        bench.result(f"{route[1:]}/s over {counts[-1]:,} connections ÷ over 16", rates[route, counts[-1]] / rates[route, 16],
                     "", 0.8, higher=True)


class Crowd:
    """So many connections, kept open, from several addresses."""

    def __init__(self, url, count):
        host, port = url.removeprefix("http://").split(":")
        self.sockets = []
        for number in range(count):
            one = socket.socket()
            one.settimeout(20)
            one.bind((f"127.0.1.{1 + number % 8}", 0))
            one.connect((host, int(port)))
            self.sockets.append(one)

    @staticmethod
    def reply(one):
        got = b""
        while b"\r\n\r\n" not in got:
            part = one.recv(65536)
            if not part:
                raise Failed("a connection was closed")
            got += part
        head, _, body = got.partition(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n")
                      if line.lower().startswith(b"content-length:"))
        while len(body) < length:
            body += one.recv(65536)
        return int(got[9:12])

    def each(self, request, count, at_once):
        """One request on each of so many, some under way at once; how many had a 200."""
        good = 0
        for begin in range(0, count, at_once):
            part = self.sockets[begin:begin + at_once]
            for one in part:
                one.sendall(request)
            good += sum(self.reply(one) == 200 for one in part)
        return good

    def close(self):
        for one in self.sockets:
            one.close()


def memory(bench):
    """Resident memory with a thousand connections: silent ones, then each with a request, then with logins."""
    allow_descriptors(CONNECTIONS + 200)
    sinks = bench.sinks("growth-memory-sinks", 0)
    server = bench.server("growth-memory", "durable", sinks.ports, more={"requests": {}, "http": {"header_timeout": "60s"}})
    token = server.login()["access_token"]
    crowd = Crowd(server.url, CONNECTIONS)
    rows = [{"state": "silent", "mib": server.process.memory()}]
    good = crowd.each(f"GET /me HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n".encode(), CONNECTIONS, 100)
    rows.append({"state": "one GET /me each", "mib": server.process.memory()})
    body = f"POST /login HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(LOGIN_BODY)}\r\n\r\n"
    logins = crowd.each((body + LOGIN_BODY).encode(), LOGINS, 32)
    rows.append({"state": f"{LOGINS} logins, 32 at once", "mib": server.process.memory()})
    crowd.close()
    if good < CONNECTIONS or logins < LOGINS / 2:
        raise Failed(f"only {good} GET /me and {logins} logins were answered: is the machine too busy?")
    server.stop()
    sinks.stop()
    keep(bench, "memory", rows)
    slots = os.cpu_count()
    bench.say(f"resident with {CONNECTIONS:,} connections, {slots} password slots: "
              + ", ".join(f"{row['state']} {row['mib']:.1f} MiB" for row in rows))
    limit = 24 + 20 * slots
    bench.result(f"memory, {CONNECTIONS:,} connections with one GET /me each", rows[1]["mib"], " MiB", limit)
    bench.result(f"memory, {CONNECTIONS:,} connections, then {LOGINS} logins", rows[2]["mib"], " MiB", limit)


# accounts


def name_of(number):
    return f"u{number:07d}"


def seed_users(bench, server, first, count):
    words = [SUPPORT / "seed_users", "--store", server.store, "--like", USER, "--first", first, "--count", count]
    took = Timed().run(words, bench.folder)["seconds"]
    bench.say(f"    {count:,} accounts written in {took:.0f} s")


def requests_of(bench, server, count, some):
    """Files of logins and of GET /me by accounts drawn from all of them."""
    drawn = random.Random(1).sample(range(1, count + 1), min(some, count))
    bodies = [json.dumps({"username": name_of(number), "password": PASSWORD}) for number in drawn]
    tokens = [json.loads(http("POST", f"{server.url}/login", body))["access_token"] for body in bodies]
    files = {"/login": bench.folder / f"logins-{count}", "/me": bench.folder / f"mes-{count}"}
    files["/login"].write_text("".join(f"POST /login {body}\n" for body in bodies))
    files["/me"].write_text("".join(f"GET /me {token}\n" for token in tokens))
    return files


def users(bench):
    """Logins and GET /me of accounts drawn at random from few, many and very many."""
    counts = sizes(bench, (100, 10_000, 1_000_000), (100, 1_000, 20_000))
    bench.say(f"logins (Argon2id at 8 KiB, so that the rest shows) and GET /me by 1,000 accounts of {counts[0]:,} to {counts[-1]:,};"
              f" {CLOSED_LOOP} clients that wait for each reply, and percentiles of theirs")
    server = bench.server("growth-users", None, password=CHEAP)
    rows, there = [], 0
    for count in counts:
        server.stop()
        seed_users(bench, server, there + 1, count - there)
        there = count
        server.start()
        for route, path in requests_of(bench, server, count, 100 if bench.quick else 1000).items():
            timed = Timed(server)
            load = timed.run(wrk(server.url, seconds(bench), CLOSED_LOOP, "users", {"TOKENFIRST_REQUESTS": path}), bench.folder)
            if load["bad_status"] or load["socket_errors"]:
                raise Failed(f"{route} was refused: {load}")
            rows.append({"users": count, "route": route, "per_second": load["requests"] / load["seconds"],
                         "p50_ms": load["p50_ms"], "p99_ms": load["p99_ms"], "resident_mib": server.process.memory(),
                         "foreign": timed.foreign})
    server.stop()
    keep(bench, "users", rows)
    say_table(bench, rows)
    for route in ("/login", "/me"):
        own = [row["per_second"] for row in rows if row["route"] == route]
        bench.result(f"{route[1:]}/s with {counts[-1]:,} accounts ÷ with {counts[0]}", own[-1] / own[0], "", 0.9, higher=True)


PARTS = {"growth": backlog, "connections": connections, "memory": memory, "users": users}
