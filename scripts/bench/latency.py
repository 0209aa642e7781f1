"""Logins at fixed rates, from intended send times: what effects add to the caller's wait, and what inline makes of it.

Off and durable take turns, so that drift of the machine hits both, and their samples are pooled: percentiles of several
rounds are those of all samples together.
"""

from load import Timed, open_loop, percentile
from measure import SINK_LATENCY_MS
from tables import Table

SHARES = (50, 80, 95)  # percent of saturation
JUDGED = 80
PICTURED = 50  # at which all deliveries are compared: inline reaches no more


class Runner:
    """The servers of all deliveries, and their samples by share of saturation."""

    def __init__(self, bench):
        self.bench = bench
        self.sinks = bench.sinks("latency-sinks", SINK_LATENCY_MS)
        self.servers = {name: bench.server(f"latency-{name}", None if name == "off" else name, self.sinks.ports)
                        for name in ("off", "durable", "fire_and_forget", "inline")}
        self.samples = {}
        self.troubled = set()

    def round(self, name, share, number):
        bench, server = self.bench, self.servers[name]
        path = bench.folder / f"{share}-{name}-{number}.ms"
        rate = bench.saturated * share / 100
        timed = Timed(server, self.sinks)
        load = timed.run(open_loop(f"{server.url}/login", rate, bench.times["round"], connections=512, samples=path),
                         bench.folder)
        self.samples.setdefault((share, name), []).extend(float(line) for line in path.read_text().split())
        if load["ok"] < load["sent"] or load["unfinished"]:
            self.troubled.add((share, name))
        bench.keep("latency", name=name, share=share, cpu=timed.shares, **load)
        bench.say(f"    {share} % {name:15} p50 {load['ms']['p50']:7.2f}  p99 {load['ms']['p99']:7.2f} ms, {load['ok']}/"
                  f"{load['sent']} ok, generator late by {load['lag_ms']['p99']:.2f} ms at p99   [CPU: {timed.text()}]")

    def all(self):
        for server in self.servers.values():
            server.login()
            if not self.bench.quick:
                Timed(server).run(open_loop(f"{server.url}/login", self.bench.saturated / 2, 1), self.bench.folder)
        for share in SHARES:
            rounds = self.bench.times["judged" if share == JUDGED else "rounds"]
            for number in range(rounds):
                # the one that comes first has the machine to itself a little longer: by turns
                names = ["off", "durable"] if number % 2 == 0 else ["durable", "off"]
                for name in names + (["fire_and_forget", "inline"] if share == PICTURED else []):
                    self.round(name, share, number)

    def stop(self):
        for server in self.servers.values():
            server.stop()
        self.sinks.stop()


def report(bench, runner):
    table = Table("of saturation", "", "p50 ms", "p99 ms", "p99.9 ms", "samples", "")
    for (share, name), values in sorted(runner.samples.items(), key=lambda item: item[0][0]):
        table.add(f"{share} %", name, *(f"{percentile(values, p):.2f}" for p in (50, 99, 99.9)), len(values),
                  "some were refused or unanswered" if (share, name) in runner.troubled else "")
        stem = f"latency-{name}" if share == PICTURED else f"open-{share}-{name}"
        (bench.data / f"{stem}.ms").write_text("".join(f"{ms:.3f}\n" for ms in sorted(values)))
    bench.say(table.text())


def latency(bench):
    if bench.saturated is None:
        bench.saturated = 0.85 * bench.hashes_per_second()
        bench.say(f"saturation was not measured: taken as {bench.saturated:.0f} logins/s, 0.85 of stock hashes")
    bench.say(f"logins at fixed rates, {bench.saturated:.1f}/s being saturation, receivers take 200 ms")
    runner = Runner(bench)
    runner.all()
    runner.stop()
    report(bench, runner)
    p99 = {name: percentile(runner.samples[JUDGED, name], 99) for name in ("off", "durable")}
    bench.result(f"login p99 at {JUDGED} % of saturation, four durable effects ÷ effects off", p99["durable"] / p99["off"],
                 "", 1.05)
    if runner.troubled & {(JUDGED, "off"), (JUDGED, "durable")}:
        bench.results.void("some logins were refused or unanswered")


PARTS = {"latency": latency}
