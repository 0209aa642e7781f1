"""Load generators, and who used how much CPU time while they ran."""

import contextlib
import json
import os
import time

from processes import SUPPORT, Failed, Process, machine_idle
from server import LOGIN_BODY


class Timed:
    """Runs a load generator, and says who used how much CPU time meanwhile."""

    runs = 0
    most_foreign = 0.0  # the largest share that programs other than ours took in any run

    def __init__(self, server=None, sinks=None, logins=None, called="logins' client"):
        self.server, self.sinks, self.logins, self.called = server, sinks, logins, called

    def run(self, words, folder):
        before, idle = self.read(), machine_idle()
        start = time.monotonic()
        Timed.runs += 1
        load = Process(words, f"{folder}/load-{Timed.runs}.log")
        if words[0] == SUPPORT / "open_loop":
            # it stands for clients on machines of their own; where that is allowed, its own wait for a core
            # is not counted as the server's
            with contextlib.suppress(PermissionError):
                os.setpriority(os.PRIO_PROCESS, load.pid, -10)
        _, status, usage = os.wait4(load.pid, 0)
        seconds = time.monotonic() - start
        load.popen.returncode = os.waitstatus_to_exitcode(status)
        Process.alive.remove(load)
        after, idle = self.read(), machine_idle() - idle
        output = load.log.read_text()
        if load.popen.returncode != 0:
            raise Failed(f"{words[0]}: {output[-2000:]}")
        result = json.loads(output.strip().splitlines()[-1])
        available = seconds * os.cpu_count()
        self.shares = {
            "server": (after[0] - before[0]) / available,
            "sinks": (after[1] - before[1]) / available,
            self.called: (after[2] - before[2]) / available,
            "load": (usage.ru_utime + usage.ru_stime) / available,
        }
        self.shares["idle"] = idle / available
        # the kernel's own work for our packets is in here too
        self.foreign = max(0.0, 1 - sum(self.shares.values()))
        if self.server:  # else a server that warms up is taken for somebody else's
            Timed.most_foreign = max(Timed.most_foreign, self.foreign)
        self.seconds = seconds
        return result

    def read(self):
        return (self.server.cpu() if self.server else 0, self.sinks.cpu() if self.sinks else 0,
                self.logins.cpu() if self.logins else 0)

    def text(self):
        parts = [f"{name} {share:.0%}" for name, share in self.shares.items() if share > 0]
        return ", ".join(parts + [f"others {self.foreign:.0%}"])


def percentile(samples, percent):
    """Nearest rank."""
    samples = sorted(samples)
    rank = -(-len(samples) * percent // 100)
    return samples[max(0, int(rank) - 1)]


def open_loop(url, rate, seconds, connections=64, method="POST", body=LOGIN_BODY, headers=(), grace=10, samples=None,
              bodies=None):
    """`bodies` is a file with one body a line, each sent once, in place of `body`."""
    words = [SUPPORT / "open_loop", "--url", url, "--method", method, "--rate", max(1, round(rate)),
             "--duration", seconds, "--connections", connections, "--grace", grace]
    if bodies or body:
        words += ["--bodies", bodies] if bodies else ["--body", body]
        words += ["--header", "Content-Type: application/json"]
    for header in headers:
        words += ["--header", header]
    if samples:
        words += ["--samples", samples]
    return words


def wrk(url, seconds, connections=16, script="login", env=None):
    """`script` is one of the .lua files here, and `env` what it is told."""
    settings = [f"{name}={value}" for name, value in (env or {}).items()]
    return ["env", *settings, "wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s", "-s",
            f"scripts/bench/{script}.lua", url]


def wrk_events(url, seconds, token, connections=64):
    return wrk(url, seconds, connections, "events", {"TOKENFIRST_TOKEN": token})
