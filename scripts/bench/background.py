"""The background path alone: a backlog delivered to one fast receiver, beside a bare curl_multi and BullMQ's worker.

A rate is what the receiver saw: its requests after the first, over the time from the first to the last.
"""

import time

from load import Timed
from peers import Missing, Redis, Script, node
from processes import SUPPORT, Failed
from sinks import Sink
from survival import effect, seed, server
from tables import Table


def seen(sink):
    count = sink.count()
    if count["requests"] < 2:
        raise Failed("nothing was delivered")
    return count["requests"], (count["requests"] - 1) * 1e6 / (count["last_us"] - count["first_us"])


class Sum:
    """Rates of several rounds, and CPU seconds of what delivers."""

    def __init__(self):
        self.rates, self.cpu, self.effects = [], 0.0, 0

    def add(self, rate, cpu, effects):
        self.rates.append(rate)
        self.cpu += cpu
        self.effects += effects

    def row(self, name, note):
        return (name, f"{self.mean():,.0f}", f"{self.cpu * 1e6 / self.effects:.0f}", note)

    def mean(self):
        return sum(self.rates) / len(self.rates)


def bare(bench, sink, total):
    raw = Timed().run([SUPPORT / "raw_multi", "--url", f"http://127.0.0.1:{sink.port}/", "--seconds", 2], bench.folder)
    total.add(raw["per_second"], raw["cpu_seconds"], raw["ok"])


def reuse(one):
    """The share of transfers that found a connection open."""
    again = one.metrics("tokenfirst_transfer_connections_total", 'reused="true"')
    total = one.metrics("tokenfirst_transfer_connections_total")
    return again / total if total else 0.0


def ours(bench, sink, number, total):
    count = bench.times["effects"]
    one = server(bench, f"background-{number}", {"bus": effect(sink.port, "seed.*", max_in_flight=64)})
    one.stop()
    seed(bench, one, "bus", count)
    one.start()
    rest = one.await_delivered(60)
    requests, rate = seen(sink)
    if rest is None or requests != count:
        raise Failed(f"{count} effects owed, {requests} received, all delivered: {rest is not None}")
    share = reuse(one)
    total.add(rate, one.cpu(), count)
    one.stop()
    return share


def bullmq(bench, sink, number, total):
    """The same with a worker process of BullMQ, as many jobs under way at once."""
    node()  # before anything is started
    count = bench.times["jobs"]
    folder = bench.folder / f"background-bullmq-{number}"
    folder.mkdir()
    redis = Redis(folder / "redis")
    seeding = Script("backlog", redis, folder, "{", env={"COUNT": str(count)})
    seeding.process.wait(30)
    before = redis.process.cpu()
    worker = Script("worker", redis, folder, "ready", {"bus": sink.port}, {"CONCURRENCY": "64"})
    rest = None
    for _ in range(60 * 10):
        if sink.count()["requests"] >= count and redis.jobs()[0] == 0:
            rest = True
            break
        time.sleep(0.1)
    requests, rate = seen(sink)
    failed = redis.jobs()[1]
    if rest is None or requests != count or failed or worker.trouble():
        raise Failed(f"{count} jobs, {requests} received, {failed} given up, {worker.trouble()}")
    total.add(rate, worker.process.cpu() + redis.process.cpu() - before, count)
    worker.process.stop(10)
    redis.stop()


def background(bench):
    bench.say("a backlog of durable effects delivered to one fast HTTP receiver, a row each, fsync on")
    raw, own, jobs, shares, skipped = Sum(), Sum(), Sum(), [], None
    for number in range(bench.times["rounds"]):
        folder = bench.folder / f"background-{number}-sinks"
        folder.mkdir()
        sinks = [Sink(folder, name) for name in ("raw", "own", "jobs")]
        bare(bench, sinks[0], raw)
        shares.append(ours(bench, sinks[1], number, own))
        try:
            bullmq(bench, sinks[2], number, jobs)
        except Missing as why:
            skipped = str(why)
        for sink in sinks:
            sink.stop()
        bench.say(f"    one bare curl_multi {raw.rates[-1]:,.0f}/s, tokenfirst {own.rates[-1]:,.0f}/s, BullMQ's worker "
                  + (f"{jobs.rates[-1]:,.0f}/s" if jobs.rates else f"skipped: {skipped}"))
    table = Table("", "effects/s", "CPU µs an effect", "")
    table.add(*raw.row("one bare curl_multi", "nothing recorded"))
    table.add(*own.row("tokenfirst", f"from start-up on; {min(shares):.2%} of the transfers found a connection open"))
    if jobs.rates:
        table.add(*jobs.row("BullMQ's worker", "one process, 64 jobs under way, Redis without persistence (counted in)"))
    bench.say(table.text())
    bench.keep("background", raw=raw.rates, own=own.rates, bullmq=jobs.rates, reused=shares)
    bench.result("durable effects delivered/s ÷ one bare curl_multi", own.mean() / raw.mean(), "", 0.3, higher=True)
    name = "durable effects delivered/s ÷ BullMQ's worker"
    if jobs.rates:
        bench.result(name, own.mean() / jobs.mean(), "", 5, higher=True)
    else:
        bench.results.skip(name, skipped)


PARTS = {"background": background}
