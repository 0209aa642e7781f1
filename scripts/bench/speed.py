"""Logins a second at saturation: the three deliveries, effects off, and the programs of others, one after another in rounds.

In rounds, so that a machine that drifts favours nobody; what is idle meanwhile uses no CPU time worth the name. Receivers
take 200 ms. A rate with effects counts the time until the last one is delivered, less the 0.2 s that this takes at least.
"""

import time

from load import Timed, wrk
from measure import SINK_LATENCY_MS
from peers import Glewlwyd, Missing, Stack
from processes import Failed
from tables import Table

# inline holds a thread for as long as its effects take: as many connections as it has threads (server.py)
CONNECTIONS = {"inline": 128}
STACK = "Fastify+BullMQ"
NOTES = {
    "off": "no effects",
    "durable": "four effects, an fsynced row each",
    "fire_and_forget": "four effects, in memory",
    "inline": f"four effects before the answer, {CONNECTIONS['inline']} connections",
    f"{STACK}, enqueued": "four jobs in Redis without persistence, no worker",
    f"{STACK}, delivered": "and one worker process that delivers them",
    f"{STACK}, fsynced": "likewise, Redis with appendonly yes, appendfsync always",
    "Glewlwyd": "its bundled account (PBKDF2-SHA256, 1,000 iterations), SQLite, no effects",
}


class Contestant:
    """A server under load, and what it did in all rounds."""

    def __init__(self, name, server, sinks, path="/login", account=None):
        self.name, self.server, self.sinks, self.path, self.account = name, server, sinks, path, account
        self.good, self.seconds, self.cpu, self.rounds, self.trouble = 0, 0.0, 0.0, 0, None

    def load(self, seconds):
        return wrk(self.server.url + self.path, seconds, CONNECTIONS.get(self.name, 16), env=self.account)

    def run(self, bench, seconds):
        timed = Timed(self.server, self.sinks)
        before = self.server.cpu()
        load = timed.run(self.load(seconds), bench.folder)
        rest = self.await_delivered(bench)
        good = load["requests"] - load["bad_status"]
        self.cpu += self.server.cpu() - before
        self.good += good
        self.seconds += load["seconds"] + max(0.0, rest - SINK_LATENCY_MS / 1000)
        self.rounds += 1
        bench.keep("saturation", name=self.name, rest_seconds=rest, cpu=timed.shares, **load)
        bench.say(f"    {self.name:26} {good / load['seconds']:7.1f}/s, {load['bad_status'] + load['socket_errors']} errors,"
                  f" all delivered {rest:.2f} s later   [CPU: {timed.text()}]")

    def await_delivered(self, bench):
        if not self.sinks:
            if hasattr(self.server, "forget"):
                self.server.forget()
            return 0.0
        rest = self.server.await_delivered(bench.times["settle"])
        if rest is None:
            self.trouble = "effects were NOT delivered"
            return bench.times["settle"]
        return rest

    def rate(self):
        return self.good / self.seconds

    def stop(self):
        self.server.stop()
        if self.sinks:
            self.sinks.stop()


def check_ours(one):
    """Every effect that was owed has been delivered, by our own books and by the receivers'."""
    created = one.server.metrics("tokenfirst_effects_created_total")
    delivered = one.server.metrics("tokenfirst_effects_total", 'outcome="delivered"')
    got = sum(one.sinks.requests().values())
    one.stop()
    got += one.sinks.mails()
    if not created == delivered == got:
        one.trouble = f"{created:.0f} effects, {delivered:.0f} delivered, {got} received"


def check_stack(one):
    """Likewise: no job was given up, and each kind of receiver got the same number, one for each login at least."""
    failed = one.server.redis.jobs()[1]
    trouble = one.server.worker.trouble()
    counts = one.sinks.requests()
    one.stop()
    counts["email"] = one.sinks.mails()
    if failed or trouble or len(set(counts.values())) > 1 or min(counts.values()) < one.good:
        one.trouble = f"{one.good} logins, {failed} jobs given up, received {counts}, {trouble}"


def ours(bench):
    contestants = []
    for name in ("off", "fire_and_forget", "durable", "inline"):
        sinks = None if name == "off" else bench.sinks(f"speed-{name}-sinks", SINK_LATENCY_MS)
        server = bench.server(f"speed-{name}", None if name == "off" else name, sinks and sinks.ports)
        server.login()
        contestants.append(Contestant(name, server, sinks))
    return contestants


def others(bench, skipped):
    contestants = []
    for name, worker, durable in (("enqueued", False, False), ("delivered", True, False), ("fsynced", True, True)):
        try:
            sinks = bench.sinks(f"speed-{name}-sinks", SINK_LATENCY_MS) if worker else None
            stack = Stack(bench.folder / f"speed-{name}", sinks, worker, durable)
            contestants.append(Contestant(f"{STACK}, {name}", stack, sinks))
        except Missing as why:
            skipped[f"{STACK}, {name}"] = str(why)
            if sinks:
                sinks.stop()
    try:
        contestants.append(Contestant("Glewlwyd", Glewlwyd(bench.folder / "speed-glewlwyd"), None, "/api/auth/",
                                      Glewlwyd.ACCOUNT))
    except Missing as why:
        skipped["Glewlwyd"] = str(why)
    return contestants


def report(bench, contestants, skipped):
    hashes = bench.hashes_per_second()
    reused = bench.hashes_per_second("reused")
    bench.say(f"    Argon2id (19 MiB, t=2): {hashes:.1f} hashes/s by stock libsodium, {reused:.1f} with memory used again")
    table = Table("", "logins/s", "÷ stock hashes", "CPU ms a login", "")
    for one in contestants:
        table.add(one.name, f"{one.rate():.1f}", f"{one.rate() / hashes:.2f}", f"{one.cpu * 1000 / one.good:.2f}",
                  one.trouble or NOTES[one.name])
    for name, why in skipped.items():
        table.add(name, "", "", "", f"skipped: {why}")
    bench.say(table.text())
    bench.keep("speed", rates={one.name: one.rate() for one in contestants}, hashes=bench.hashes, skipped=skipped)


def ratios(bench, contestants, skipped):
    by_name = {one.name: one for one in contestants}
    durable, stack = by_name["durable"], by_name.get(f"{STACK}, delivered")
    bench.saturated = durable.rate()
    rows = [("÷ stock hashes/s", bench.hashes_per_second(), 1.25, None),
            ("÷ hashes/s with memory used again", bench.hashes_per_second("reused"), 0.90, None),
            (f"÷ {STACK}'s, delivered too", stack and stack.rate(), 2.0, skipped.get(f"{STACK}, delivered"))]
    for name, against, target, why in rows:
        name = f"logins/s with four durable effects delivered {name}"
        if against:
            bench.result(name, durable.rate() / against, "", target, higher=True)
        else:
            bench.results.skip(name, why)
        if durable.trouble:
            bench.results.void(durable.trouble)
    if stack and stack.trouble:
        bench.results.void(f"{STACK}: {stack.trouble}")


def saturation(bench):
    bench.say("logins at saturation (wrk, 16 connections), receivers take 200 ms")
    skipped = {}
    contestants = ours(bench) + others(bench, skipped)
    for one in [] if bench.quick else contestants:  # what is compiled or opened at the first requests is no login's time
        Timed().run(one.load(1), bench.folder)
        one.await_delivered(bench)
    for number in range(bench.times["rounds"]):
        bench.hash_rate()
        for one in contestants:
            one.run(bench, bench.times["saturate"])
    for one in contestants:
        if not one.sinks:
            one.stop()
        elif isinstance(one.server, Stack):
            check_stack(one)
        else:
            time.sleep(SINK_LATENCY_MS / 1000)
            check_ours(one)
    if any(one.good == 0 for one in contestants):
        raise Failed("a server answered no login")
    report(bench, contestants, skipped)
    ratios(bench, contestants, skipped)


PARTS = {"speed": saturation}
