"""Requests without a password, beside bare libmicrohttpd that hands each request to another thread; and while logins saturate.

Both sides of a ratio are loaded by the same generator, 64 connections: GET with a token by me.lua, POST with one refresh
token after another by refresh.lua, which costs wrk more; so there are two hand-off rates.
"""

import concurrent.futures
import json
import os
import time

from load import Timed, open_loop, wrk
from measure import SINK_LATENCY_MS
from peers import Missing, Redis, Script, node
from processes import SUPPORT, Failed, Process
from tables import Table

CONNECTIONS = 64
TOKENS = 256  # in turn, more than there are connections
ME_RATE, REFRESH_RATE = 100, 50


class HandOff:
    """raw_handoff, with as many loops and threads as there are cores."""

    def __init__(self, folder):
        cores = os.cpu_count()
        self.process = Process([SUPPORT / "raw_handoff", "--loops", cores, "--threads", cores], f"{folder}/handoff.log")
        self.url = "http://" + self.process.await_line(lambda line: line.startswith("listening ") and line.split()[1])

    def cpu(self):
        return self.process.cpu()

    def stop(self):
        self.process.stop()


class Signing:
    """Fastify with jose, signing a token for each request."""

    def __init__(self, folder):
        node()  # before anything is started
        folder.mkdir()
        self.redis = Redis(folder / "redis")  # its queue wants one, idle here
        self.script = Script("login", self.redis, folder, "listening ", env={"PROCESSES": str(os.cpu_count())})
        self.url = "http://" + self.script.line.split()[1]

    def cpu(self):
        return self.script.cpu()

    def stop(self):
        self.script.process.stop(10)
        self.redis.stop()


def refresh_tokens(server, count):
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda _: server.login()["refresh_token"], range(count)))


class Contest:
    """One generator against one server, again and again."""

    def __init__(self, name, server, path, script, env, note=""):
        """`env`: what the generator is told, or what says it before each round."""
        self.name, self.server, self.path, self.script, self.env, self.note = name, server, path, script, env, note
        self.rates, self.cpu, self.requests = [], 0.0, 0

    def round(self, bench):
        env = self.env() if callable(self.env) else self.env
        timed = Timed(self.server)
        before = self.server.cpu()
        load = timed.run(wrk(self.server.url + self.path, bench.times["requests"], CONNECTIONS, self.script, env),
                         bench.folder)
        if load["bad_status"] or load["socket_errors"]:
            raise Failed(f"{self.name}: {load}")
        self.cpu += self.server.cpu() - before
        self.requests += load["requests"]
        self.rates.append(load["requests"] / load["seconds"])
        bench.keep("requests", name=self.name, cpu=timed.shares, **load)
        bench.say(f"    {self.name:26} {self.rates[-1]:9,.0f}/s   [CPU: {timed.text()}]")

    def rate(self):
        return sum(self.rates) / len(self.rates)


def refreshing(bench, server):
    path = bench.folder / f"{server.folder.name}.tokens"
    path.write_text("\n".join(refresh_tokens(server, TOKENS)) + "\n")
    return {"TOKENFIRST_TOKENS": str(path)}


def contests(bench, skipped):
    """By name, and what is to be stopped."""
    handoff = HandOff(bench.folder)
    cached = bench.server("requests", None)
    stops = [handoff, cached]
    me = {"TOKENFIRST_TOKEN": cached.login()["access_token"]}
    tokens = refreshing(bench, cached)
    found = [Contest("hand-off, GET", handoff, "/", "me", me, "bare libmicrohttpd"),
             Contest("hand-off, POST", handoff, "/", "refresh", tokens, "by the generator that refreshes"),
             # each round uses its tokens up
             Contest("POST /token/refresh", cached, "/token/refresh", "refresh", lambda: refreshing(bench, cached),
                     "each token used once, fsync on")]
    uncached = bench.server("requests-uncached", None, more={"token": {"cache": 0}})
    stops.append(uncached)
    found.append(Contest("GET /me, cache", cached, "/me", "me", me, "tokens found in token.cache"))
    me = {"TOKENFIRST_TOKEN": uncached.login()["access_token"]}
    found.append(Contest("GET /me, no cache", uncached, "/me", "me", me, "token.cache 0: Ed25519 verified each time"))
    try:
        signing = Signing(bench.folder / "requests-fastify")
        stops.append(signing)
        found.append(Contest("Fastify signs a token", signing, "/token", "refresh", tokens, "jose, no store; a process for each core"))
    except Missing as why:
        skipped["Fastify"] = str(why)
    return {one.name: one for one in found}, stops


def report(bench, contests_by_name, skipped):
    handoff = contests_by_name["hand-off, GET"].rate()
    table = Table("", "requests/s", "÷ hand-off", "CPU µs a request", "")
    for one in contests_by_name.values():
        table.add(one.name, f"{one.rate():,.0f}", f"{one.rate() / handoff:.2f}", f"{one.cpu * 1e6 / one.requests:.1f}", one.note)
    if "Fastify" in skipped:
        table.add("Fastify signs a token", "", "", "", f"skipped: {skipped['Fastify']}")
    bench.say(table.text())


def ratios(bench, found):
    def ratio(name, one, against, target):
        bench.result(name, found[one].rate() / found[against].rate(), "", target, higher=True)

    ratio("POST /token/refresh ÷ hand-off, same generator", "POST /token/refresh", "hand-off, POST", 0.30)
    ratio("GET /me ÷ hand-off, token cached", "GET /me, cache", "hand-off, GET", 0.75)
    ratio("GET /me ÷ hand-off, no cache", "GET /me, no cache", "hand-off, GET", 0.30)


def beside_logins(bench, server, sinks, name, words):
    """p99 of requests at a low rate while logins saturate all cores, in milliseconds."""
    logins = Process(wrk(f"{server.url}/login", bench.times["beside"] + 3), bench.folder / f"beside-{name.rsplit('/', 1)[1]}.log")
    time.sleep(1)
    timed = Timed(server, sinks, logins)
    load = timed.run(words, bench.folder)
    if logins.popen.poll() is not None:
        raise Failed("the logins ended before the measurement did")
    logins.wait(30)
    done = json.loads(logins.log.read_text().strip().splitlines()[-1])
    ms = load["ms"]
    bench.keep("beside", name=name, cpu=timed.shares, logins=done, **load)
    bench.say(f"    {name:20} p50 {ms['p50']:7.2f}  p99 {ms['p99']:7.2f}  p99.9 {ms['p99_9']:7.2f} ms, {load['ok']}/"
              f"{load['sent']} ok beside {done['requests'] / done['seconds']:.0f} logins/s, generator late by"
              f" {load['lag_ms']['p99']:.2f} ms at p99   [CPU: {timed.text()}]")
    if load["ok"] < load["sent"] or done["bad_status"]:
        raise Failed(f"{name}: {load['status']}, logins {done}")
    return ms["p99"]


def saturated(bench):
    seconds = bench.times["beside"]
    bench.say(f"GET /me at {ME_RATE}/s and POST /token/refresh at {REFRESH_RATE}/s while logins with four durable effects saturate")
    sinks = bench.sinks("beside-sinks", SINK_LATENCY_MS)
    server = bench.server("beside", "durable", sinks.ports)
    token = server.login()["access_token"]
    bodies = bench.folder / "beside.bodies"
    bodies.write_text("".join(json.dumps({"refresh_token": token}) + "\n"
                              for token in refresh_tokens(server, REFRESH_RATE * seconds)))
    me = open_loop(f"{server.url}/me", ME_RATE, seconds, 8, "GET", None, [f"Authorization: Bearer {token}"])
    refresh = open_loop(f"{server.url}/token/refresh", REFRESH_RATE, seconds, 8, bodies=bodies)
    p99 = {name: beside_logins(bench, server, sinks, name, words)
           for name, words in (("GET /me", me), ("POST /token/refresh", refresh))}
    server.stop()
    sinks.stop()
    bench.hash_rate()
    for name, ms in p99.items():
        bench.result(f"{name} p99 while logins saturate ÷ one hash ({bench.hash_ms():.1f} ms)", ms / bench.hash_ms(), "", 0.33)


def requests(bench):
    bench.say(f"requests without a password, {CONNECTIONS} connections (wrk)")
    skipped = {}
    found, stops = contests(bench, skipped)
    for number in range(bench.times["rounds"]):
        for one in found.values():
            one.round(bench)
    for one in stops:
        one.stop()
    report(bench, found, skipped)
    ratios(bench, found)
    saturated(bench)


PARTS = {"requests": requests}
