"""A backlog that clients made: what it adds to memory, and how soon a start delivers from it."""

import threading
import time

from load import Timed, open_loop
from processes import SUPPORT, Failed, free_port
from sinks import Sinks

PENDING = 100_000


class Watch:
    """The most resident memory of a server, seen ten times a second."""

    def __init__(self, server):
        self.server, self.most, self.on = server, 0.0, True
        self.thread = threading.Thread(target=self.look)
        self.thread.start()

    def look(self):
        while self.on:
            try:
                self.most = max(self.most, self.server.process.memory())
            except (OSError, Failed):
                return
            time.sleep(0.1)

    def stop(self):
        self.on = False
        self.thread.join()
        return self.most


def first_delivery(sinks, since):
    """Seconds until one of the receivers got something."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        first = sinks.first_delivery()
        if first is not None:
            return first - since
        time.sleep(0.02)
    raise Failed("nothing was delivered within 30 s")


def deliver(bench, server):
    """Lets it deliver for a while; says how fast it was."""
    start, done = time.monotonic(), server.metrics("tokenfirst_effects_total", 'outcome="delivered"')
    rest = server.await_delivered(bench.times["drain"])
    seconds = time.monotonic() - start
    done = server.metrics("tokenfirst_effects_total", 'outcome="delivered"') - done
    ended = "all of them" if rest is not None else f"{server.metrics('tokenfirst_effects_pending'):,.0f} still owed"
    return f"then {done / seconds:,.0f} effects/s for {seconds:.1f} s, {ended}"


def owe(bench, server):
    """Logins until enough is owed; memory before, and how much it grew."""
    logins = PENDING // len(Sinks.NAMES)
    Timed(server).run(open_loop(f"{server.url}/login", 100, 2), bench.folder)
    before = server.process.memory()
    watch = Watch(server)
    timed = Timed(server)
    load = timed.run(open_loop(f"{server.url}/login", 2500, -(-logins // 2500), grace=20), bench.folder)
    owed = server.metrics("tokenfirst_effects_pending")
    grown = watch.stop() - before
    bench.say(f"    {load['ok']} logins of {load['sent']} in {timed.seconds:.1f} s, {owed:,.0f} effects owed, memory"
              f" {before:.1f} MiB + {grown:.1f} MiB   [CPU: {timed.text()}]")
    if owed < PENDING:
        raise Failed(f"only {owed:.0f} effects are owed")
    return before, grown


def backlog(bench):
    """Effects owed to receivers that are down; then they are back."""
    bench.say(f"{PENDING:,} durable effects owed to receivers that are down")
    ports = {name: free_port() for name in Sinks.NAMES}
    server = bench.server("backlog", "durable", ports, password={"memory_kib": 8, "passes": 1}, in_flight=64)
    before, grown = owe(bench, server)
    server.stop()
    sinks = bench.sinks("backlog-sinks", 0, ports)
    server.start()
    watch = Watch(server)
    first = first_delivery(sinks, server.process.started)
    total = deliver(bench, server)
    grown = max(grown, watch.stop() - before)
    bench.say(f"    restarted: first delivery after {first:.2f} s, {total}")
    server.stop()
    timed = Timed(None, sinks)
    raw = timed.run([SUPPORT / "raw_multi", "--url", f"http://127.0.0.1:{sinks.ports['crm']}/", "--seconds", 2],
                    bench.folder)
    bench.say(f"    one bare curl_multi, with nothing to record: {raw['per_second']:,.0f}/s   [CPU: {timed.text()}]")
    sinks.stop()
    bench.result(f"start to first delivery, {PENDING:,} owed", first, " s", 1)
    bench.result(f"memory growth with {PENDING:,} owed", grown, " MiB", 64)


PARTS = {"backlog": backlog}
