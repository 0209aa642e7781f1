#!/usr/bin/env python3
"""How low hash threads should stand: a part of the benchmarks by name, and a program of its own.

    scripts/bench/niceness.py [--rounds N] [--beside SECONDS] [--flood SECONDS] [--only TEXT]...    from the root of the repository

Low enough that what takes microseconds does not wait behind what takes ten milliseconds, and not so low that other work
starves logins. Both sides are measured for each setting:

    beside logins     logins saturate the server; GET /me at 200/s and refreshes at 50/s beside them
    under a flood     logins saturate the server, and 64 connections ask for /me as fast as they can

The hash threads of one running server are given each setting from outside, in turns, so that a machine that drifts does
so for all of them. Every login has four durable effects, their receivers take 200 ms. Lower niceness than the server's
own takes a privilege (CAP_SYS_NICE): without it those settings are left out, and said so.

A setting is "POLICY NICENESS SLICE": `slice` is what the thread asks of the scheduler (EEVDF, Linux 6.12 on) as its turn
on a core; a thread that wakes and has the shorter slice goes first, whatever the niceness of both.
"""

import argparse
import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import platform
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from load import open_loop, percentile, wrk  # noqa: E402
from processes import Failed, Process  # noqa: E402
from server import Server  # noqa: E402
from sinks import Sinks  # noqa: E402

SINK_LATENCY_MS = 200
ME_RATE = 200
REFRESH_RATE = 50
FLOOD_CONNECTIONS = 64
SETTLE_S = 0.3  # until a load has its connections
ENOUGH_S = 270  # no further round that would end later
TIME_LIMIT_S = 600
SYS_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
POLICIES = {"other": os.SCHED_OTHER, "batch": os.SCHED_BATCH}
SETTINGS = [("other", 0, 0), ("other", 1, 0), ("other", 3, 0), ("other", 5, 0), ("other", 10, 0), ("other", 19, 0),
            ("batch", 0, 0), ("other", 0, 5), ("other", 0, 20), ("other", 0, 100), ("other", 3, 20), ("batch", 0, 20)]


def name_of(setting):
    policy, nice, slice_ms = setting
    return f"{policy} nice {nice}" + (f" slice {slice_ms} ms" if slice_ms else "")


def hash_threads(pid):
    threads = [int(task.name) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
               if (task / "comm").read_text().startswith("hash-")]
    if not threads:
        raise Failed("the server has no thread that is called hash-N")
    return threads


def apply(threads, setting):
    """sched_setattr(2), which Python does not have. OSError: not permitted."""
    policy, nice, slice_ms = setting
    # struct sched_attr, version 0: size, policy, flags, nice, priority, runtime, deadline, period
    attributes = struct.pack("=IIQiIQQQ", 48, POLICIES[policy], 0, nice, 0, slice_ms * 1_000_000, 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    for thread in threads:
        if libc.syscall(SYS_SCHED_SETATTR[platform.machine()], thread, attributes, 0) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Refreshes:
    """A few sessions, each refreshed again and again with the token of the time before: what an application does."""

    SESSIONS = 8

    def __init__(self, server):
        self.tokens = [server.login()["refresh_token"] for _ in range(self.SESSIONS)]
        self.connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)

    def once(self, number):
        body = json.dumps({"refresh_token": self.tokens[number % self.SESSIONS]})
        self.connection.request("POST", "/token/refresh", body, {"Content-Type": "application/json"})
        reply = self.connection.getresponse()
        text = reply.read()
        if reply.status != 200:
            raise Failed(f"a refresh was answered {reply.status}: {text[:200]}")
        self.tokens[number % self.SESSIONS] = json.loads(text)["refresh_token"]

    def run(self, seconds):
        """Milliseconds of each, from when it was due: one that is late makes the next ones late."""
        samples, begin = [], time.monotonic()
        for number in range(int(seconds * REFRESH_RATE)):
            due = begin + number / REFRESH_RATE
            time.sleep(max(0.0, due - time.monotonic()))
            self.once(number)
            samples.append((time.monotonic() - due) * 1000)
        return samples


class Figures:
    """What one setting came to, over all rounds."""

    def __init__(self):
        self.me, self.refresh = [], []
        self.logins = self.effects = self.beside_s = 0.0
        self.flood_logins = self.flood_me = self.flood_s = 0.0

    def row(self):
        return (self.logins / self.beside_s, percentile(self.me, 50), percentile(self.me, 99),
                percentile(self.refresh, 50), percentile(self.refresh, 99), self.effects / self.beside_s,
                self.flood_logins / self.flood_s, self.flood_me / self.flood_s)


def raise_above(pid):
    """It stands for clients on machines of their own; where that is allowed, its wait for a core is not the server's."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, pid, -10)


def finish(process, seconds):
    process.wait(seconds)
    output = process.log.read_text(errors="replace")
    if process.popen.returncode != 0:
        raise Failed(f"{process.popen.args[0]}: {output[-2000:]}")
    return json.loads(output.strip().splitlines()[-1])


def answered(load):
    return (load["requests"] - load["bad_status"]) / load["seconds"]


class Measurement:
    def __init__(self, folder, say):
        self.folder, self.say = pathlib.Path(folder), say
        sinks = self.folder / "sinks"
        sinks.mkdir()
        self.sinks = Sinks(sinks, SINK_LATENCY_MS)
        self.server = Server(self.folder / "server", "durable", self.sinks.ports)
        self.threads = hash_threads(self.server.process.pid)
        self.token = self.server.login()["access_token"]
        self.refreshes = Refreshes(self.server)

    def stop(self):
        self.server.stop()
        self.sinks.stop()

    def permitted(self, settings):
        """Those that may be set, the lowest niceness first, since there may be no way back."""
        able = []
        for setting in settings:
            try:
                apply(self.threads, setting)
                able.append(setting)
            except OSError as why:
                self.say(f"    {name_of(setting)}: left out, {why.strerror}")
        return able

    def beside(self, figures, seconds):
        url = self.server.url
        logins = Process(wrk(f"{url}/login", seconds + 1), self.folder / "logins.log")
        time.sleep(SETTLE_S)
        delivered = self.server.metrics("tokenfirst_effects_total", 'outcome="delivered"')
        begin = time.monotonic()
        samples = self.folder / "me.ms"
        me = Process(open_loop(f"{url}/me", ME_RATE, seconds, connections=16, method="GET", body=None,
                               headers=[f"Authorization: Bearer {self.token}"], samples=samples), self.folder / "me.log")
        raise_above(me.pid)
        figures.refresh += self.refreshes.run(seconds)
        load = finish(me, seconds + 20)
        took = time.monotonic() - begin
        figures.effects += self.server.metrics("tokenfirst_effects_total", 'outcome="delivered"') - delivered
        if load["ok"] < load["sent"]:
            raise Failed(f"only {load['ok']} of {load['sent']} GET /me succeeded")
        figures.me += [float(line) for line in samples.read_text().split()]
        figures.logins += answered(finish(logins, seconds + 20)) * took
        figures.beside_s += took

    def flood(self, figures, seconds):
        words = wrk(f"{self.server.url}/me", seconds, connections=FLOOD_CONNECTIONS, script="me",
                    env={"TOKENFIRST_TOKEN": self.token})
        me = Process(words, self.folder / "flood.log")
        logins = Process(wrk(f"{self.server.url}/login", seconds), self.folder / "logins.log")
        figures.flood_me += answered(finish(me, seconds + 20)) * seconds
        figures.flood_logins += answered(finish(logins, seconds + 20)) * seconds
        figures.flood_s += seconds


def table(say, all_figures):
    say(f"\n{'':26}{'beside logins':^58}{'under a flood of /me':^22}")
    say(f"{'hash threads':26}{'logins/s':>9}{'/me p50':>9}{'p99 ms':>8}{'refresh p50':>13}{'p99 ms':>8}{'effects/s':>11}"
        f"{'logins/s':>10}{'/me /s':>10}")
    for setting, figures in all_figures.items():
        logins, me50, me99, refresh50, refresh99, effects, flood_logins, flood_me = figures.row()
        say(f"{name_of(setting):26}{logins:9.1f}{me50:9.2f}{me99:8.2f}{refresh50:13.2f}{refresh99:8.2f}{effects:11.0f}"
            f"{flood_logins:10.1f}{flood_me:10.0f}")


def take_rounds(measurement, all_figures, say, rounds, beside_s, flood_s):
    begin = time.monotonic()
    for number in range(rounds):
        round_begin = time.monotonic()
        for setting, figures in all_figures.items():
            apply(measurement.threads, setting)
            measurement.beside(figures, beside_s)
            measurement.flood(figures, flood_s)
        now = time.monotonic()
        say(f"    round {number + 1} of {rounds} took {now - round_begin:.0f} s")
        if number + 1 < rounds and now - begin + (now - round_begin) > ENOUGH_S:
            say("    the rest is left out: it would take too long")
            return


def measure(folder, say, rounds, beside_s, flood_s, settings):
    measurement = Measurement(folder, say)
    all_figures = {setting: Figures() for setting in measurement.permitted(settings)}
    raise_above(0)
    try:
        take_rounds(measurement, all_figures, say, rounds, beside_s, flood_s)
    finally:
        # what there is, whatever ended it
        table(say, {setting: figures for setting, figures in all_figures.items() if figures.flood_s > 0})
    measurement.stop()


def hash_priority(bench):
    """The niceness, policy and slice of hash threads, against both those who wait for them and those beside them."""
    bench.say("hash threads at several priorities: latency of others beside logins, logins under a flood of others")
    folder = bench.folder / "niceness"
    folder.mkdir()
    few = [("other", 0, 0), ("other", 3, 0), ("other", 10, 0), ("other", 0, 20)]
    measure(folder, bench.say, bench.times["rounds"], bench.times["round"] // 2, 2, few)


PARTS = {"niceness": hash_priority}


def interrupted(number, frame):
    raise Failed("took too long" if number == signal.SIGALRM else "interrupted")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beside", type=int, default=4, help="seconds of the first measurement in each round")
    parser.add_argument("--flood", type=int, default=2, help="seconds of the second one")
    parser.add_argument("--only", action="append", help="settings whose name contains this")
    wanted = parser.parse_args()
    settings = [s for s in SETTINGS if not wanted.only or any(text in name_of(s) for text in wanted.only)]
    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, interrupted)
    signal.alarm(TIME_LIMIT_S)
    folder = tempfile.mkdtemp(prefix="tokenfirst-niceness-")
    code = 0
    try:
        measure(folder, lambda text: print(text, flush=True), wanted.rounds, wanted.beside, wanted.flood, settings)
    except (Failed, OSError, subprocess.SubprocessError) as failure:
        print(f"niceness: {failure}", file=sys.stderr)
        code = 1
    finally:
        signal.alarm(0)
        Process.stop_all()
        shutil.rmtree(folder, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
