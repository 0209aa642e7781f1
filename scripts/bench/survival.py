"""What a dead destination costs the others, and what a backlog costs a start and a request."""

import time

from load import Timed, open_loop, percentile, wrk_events
from processes import SUPPORT, Failed
from server import Server
from sinks import Sink

NEVER_MS = 600_000  # longer than any benchmark
OWED = 100_000
IN_FLIGHT_AT_KILL = 10_000
BACKLOG = 1_000_000
SETTLED = 300_000
TOKEN = "a-token-of-the-benchmark"
ORDER = '{"type":"order.paid","subject":"42","data":{"total":12}}'
EVENTS_RATE = 500


def effect(port, on, **more):
    return {"type": "bus", "format": "json", "on": [on], "delivery": "durable", "url": f"http://127.0.0.1:{port}/",
            **more}


def server(bench, name, effects, **more):
    return Server(bench.folder / name, None, None, effects=effects, **more)


def seed(bench, server, effect_name, count, state="pending"):
    """Writes a backlog into the store of a server that does not run."""
    result = Timed().run([SUPPORT / "seed_outbox", "--store", server.store, "--effect", effect_name, "--count", count,
                          "--state", state], bench.folder)
    bench.say(f"    {count:,} effects written in {result['seconds']:.1f} s")


def dead_destination(bench):
    """One of the destinations accepts and never answers, and has a backlog."""
    bench.say(f"a destination that accepts and never answers, {OWED:,} effects owed to it; the others beside it")
    rate = 40 if bench.saturated is None else bench.saturated / 4
    sinks, servers = {}, {}
    for name in ("without", "with"):
        folder = bench.folder / f"e-{name}-sinks"
        folder.mkdir()
        sinks[name] = Sink(folder, "well", log=True)
        other = Sink(folder, "other", NEVER_MS if name == "with" else 0)
        effects = {"well": effect(sinks[name].port, "order.*"), "dead": effect(other.port, "*", timeout="2s")}
        servers[name] = server(bench, f"e-{name}", effects, services={"bench": {"token": TOKEN}})
    servers["with"].stop()
    seed(bench, servers["with"], "dead", OWED)
    servers["with"].start()
    logins = {name: [] for name in servers}
    for one in servers.values():
        Timed(one).run(open_loop(f"{one.url}/login", rate, 2), bench.folder)
    memory = {name: one.process.memory() for name, one in servers.items()}
    for number in range(bench.times["rounds"]):
        for name, one in servers.items():
            path = bench.folder / f"e-{name}-{number}.ms"
            timed = Timed(one)
            load = timed.run(open_loop(f"{one.url}/login", rate, bench.times["round"], samples=path), bench.folder)
            logins[name] += [float(line) for line in path.read_text().split()]
            bench.say(f"    {name:8} login p50 {load['ms']['p50']:6.2f}  p99 {load['ms']['p99']:6.2f} ms"
                      f"   [CPU: {timed.text()}]")
            # many, for a percentile that stands still
            timed.run(open_loop(f"{one.url}/events", EVENTS_RATE, bench.times["round"], body=ORDER,
                                headers=[f"Authorization: Bearer {TOKEN}"]), bench.folder)
    time.sleep(1)
    p99 = {name: percentile(values, 99) for name, values in logins.items()}
    arrivals = {name: sinks[name].end_to_end_ms() for name in servers}
    # a server takes its wall clock once, in whole milliseconds: by up to one they differ, and that is no latency
    offset = min(arrivals["with"]) - min(arrivals["without"])
    arrivals["with"] = [ms - offset for ms in arrivals["with"]]
    arrived = {name: percentile(times, 99) for name, times in arrivals.items()}
    for name in servers:
        times = arrivals[name]
        bench.say(f"    {name:8} end to end p50 {percentile(times, 50):.2f}  p90 {percentile(times, 90):.2f}"
                  f"  p99 {percentile(times, 99):.2f}  p99.9 {percentile(times, 99.9):.2f} ms, {len(times)} of them")
    owed = servers["with"].metrics("tokenfirst_effects_pending")
    growth = servers["with"].process.memory() - servers["without"].process.memory()
    bench.say(f"    the others' end to end p99: {arrived['without']:.1f} ms without, {arrived['with']:.1f} ms with;"
              f" {owed:,.0f} owed, memory {memory['without']:.1f} and {memory['with']:.1f} MiB at first")
    for one in list(servers.values()):
        one.stop()
    bench.result("the others' end-to-end p99 beside a dead destination ÷ without", arrived["with"] / arrived["without"],
                 "", 1.05)
    bench.result("login p99 likewise", p99["with"] / p99["without"], "", 1.05)
    bench.result(f"memory with {OWED:,} owed to it, more than without", growth, " MiB", 32)


def rise_again(bench):
    """SIGKILL with much in flight or pending, and a start."""
    bench.say(f"killed with {IN_FLIGHT_AT_KILL:,} effects in flight or pending")
    folder = bench.folder / "f-sinks"
    folder.mkdir()
    slow = Sink(folder, "slow", NEVER_MS)
    port = slow.port
    one = server(bench, "f", {"well": effect(port, "user.login", max_in_flight=1000)})
    one.kill()
    empty = one.start()
    one.kill()
    seed(bench, one, "well", IN_FLIGHT_AT_KILL)
    one.start()
    time.sleep(1)
    flying = one.metrics("tokenfirst_effects_in_flight")
    one.kill()
    slow.stop()
    fast = Sink(folder, "fast", 0, port)
    ready = one.start()
    first = None
    until = time.monotonic() + 10
    while first is None and time.monotonic() < until:
        count = fast.count()
        first = count["first_us"] / 1e6 if count["requests"] > 0 else None
    if first is None:
        raise Failed("nothing was delivered within 10 s")
    first -= one.process.started
    rest = one.await_delivered(30)
    bench.say(f"    {flying:.0f} were in flight; listening after {ready * 1000:.0f} ms ({empty * 1000:.0f} ms with an empty"
              f" store), first delivery after {first * 1000:.0f} ms, all after {rest if rest is None else round(rest, 2)} s")
    one.stop()
    fast.stop()
    bench.result("start to first redelivery after SIGKILL", first * 1000, " ms", 100)


def enqueue(bench):
    """Events taken a second, with a large backlog and with none; and what becomes of the file."""
    bench.say(f"POST /events with {BACKLOG:,} effects pending, against none")
    rates = {"none": [], "many": []}
    folder = bench.folder / "g-sinks"
    folder.mkdir()
    dead = Sink(folder, "dead", NEVER_MS)
    effects = {"dead": effect(dead.port, "seed.*", timeout="5s", max_pending=100_000_000)}
    servers = {name: server(bench, f"g-{name}", effects, services={"bench": {"token": TOKEN}}) for name in rates}
    servers["many"].stop()
    seed(bench, servers["many"], "dead", BACKLOG)
    ready = servers["many"].start()
    bench.say(f"    listening after {ready * 1000:.0f} ms with {BACKLOG:,} pending")
    for number in range(2 * bench.times["rounds"]):
        for name, one in servers.items():
            timed = Timed(one)
            load = timed.run(wrk_events(f"{one.url}/events", bench.times["round"] / 2, TOKEN), bench.folder)
            if load["bad_status"] or load["socket_errors"]:
                raise Failed(f"events were refused: {load}")
            rates[name].append(load["requests"] / load["seconds"])
    for one in servers.values():
        one.stop()
    dead.stop()
    means = {name: sum(values) / len(values) for name, values in rates.items()}
    bench.say(f"    {means['none']:,.0f}/s with none, {means['many']:,.0f}/s with {BACKLOG:,} pending")
    bench.result(f"events/s with {BACKLOG:,} pending ÷ with none", means["many"] / means["none"], "", 0.9, higher=True)


def clean_up(bench):
    """Logins while a large history is removed."""
    bench.say(f"logins while {SETTLED:,} delivered effects are past their retention, against none")
    rate = 40 if bench.saturated is None else bench.saturated / 4
    folder = bench.folder / "i-sinks"
    folder.mkdir()
    sink = Sink(folder, "well")
    logins, removed = {"none": [], "many": []}, 0
    for number in range(bench.times["rounds"]):
        for name, times in logins.items():
            one = server(bench, f"i-{name}-{number}", {"well": effect(sink.port, "user.login")},
                         retention={"delivered": "1s"})
            one.stop()
            if name == "many":
                seed(bench, one, "well", SETTLED, "delivered")
            one.start()
            Timed(one).run(open_loop(f"{one.url}/login", rate, 2), bench.folder)
            path = bench.folder / f"i-{name}-{number}.ms"
            before = one.metrics("tokenfirst_retention_removed_total")
            load = Timed(one).run(open_loop(f"{one.url}/login", rate, bench.times["round"], samples=path), bench.folder)
            times += [float(line) for line in path.read_text().split()]
            rows = one.metrics("tokenfirst_retention_removed_total") - before
            removed += rows if name == "many" else 0
            bench.say(f"    {name:8} login p50 {load['ms']['p50']:6.2f}  p99 {load['ms']['p99']:6.2f} ms,"
                      f" {rows:,.0f} rows removed meanwhile")
            one.stop()
    sink.stop()
    if removed == 0:
        raise Failed("nothing was removed")
    p99 = {name: percentile(values, 99) for name, values in logins.items()}
    bench.result("login p99 while a history is removed ÷ without", p99["many"] / p99["none"], "", 1.05)


PARTS = {"dead-destination": dead_destination, "kill": rise_again, "enqueue": enqueue, "clean-up": clean_up}
