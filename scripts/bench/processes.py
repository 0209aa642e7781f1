"""Processes that a benchmark starts: found, ended, and their CPU time and memory read from /proc.

Everything that is started here is ended here, by its id, whatever happens.
"""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.request

BUILD = pathlib.Path(os.environ.get("BUILD", "build")).resolve()
SUPPORT = BUILD / "tests" / "support"
TICKS = os.sysconf("SC_CLK_TCK")
USER, PASSWORD = "alice", "correct horse battery staple"
LOGIN_BODY = json.dumps({"username": USER, "password": PASSWORD})


class Failed(Exception):
    pass


def http(method, url, body=None, headers=None, timeout=10):
    request = urllib.request.Request(url, method=method, data=body and body.encode(), headers=headers or {})
    if body:
        request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=timeout) as reply:
        return reply.read().decode()


class Process:
    """A child with its output in a file; `alive` lists those to end."""

    alive = []

    def __init__(self, words, log):
        self.log = pathlib.Path(log)
        self.started = time.monotonic()
        with open(log, "wb") as out:
            self.popen = subprocess.Popen([str(w) for w in words], stdin=subprocess.DEVNULL, stdout=out,
                                          stderr=subprocess.STDOUT, start_new_session=True)
        self.pid = self.popen.pid
        Process.alive.append(self)

    def await_line(self, wanted, seconds=15):
        """The first line of its output for which `wanted` gives something."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for line in self.log.read_text(errors="replace").splitlines():
                found = wanted(line)
                if found:
                    return found
            if self.popen.poll() is not None:
                break
            time.sleep(0.005)
        raise Failed(f"{self.popen.args[0]} did not start:\n{self.log.read_text(errors='replace')[-2000:]}")

    def cpu(self):
        """User and system seconds so far."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self):
        """Resident MiB now."""
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise Failed("no VmRSS")

    def wait(self, seconds):
        self.popen.wait(seconds)
        Process.alive.remove(self)

    def stop(self, seconds=40):
        if self in Process.alive:
            Process.alive.remove(self)
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        return self.popen.returncode

    @staticmethod
    def stop_all():
        for process in list(Process.alive):
            process.stop(5)


class Sinks:
    """Four receivers, one per kind of effect."""

    NAMES = ("email", "analytics", "crm", "bus")

    def __init__(self, folder, latency_ms, ports=None):
        self.processes, self.ports = {}, {}
        for name in self.NAMES:
            program = "smtp_sink" if name == "email" else "http_sink"
            process = Process([SUPPORT / program, "--port", (ports or {}).get(name, 0), "--latency-ms", latency_ms],
                              f"{folder}/{name}.log")
            self.ports[name] = process.await_line(
                lambda line: line.startswith("listening ") and int(line.rsplit(":", 1)[1]))
            self.processes[name] = process

    def cpu(self):
        return sum(p.cpu() for p in self.processes.values())

    def first_delivery(self):
        """CLOCK_MONOTONIC of the first request that an HTTP sink got, in seconds; None: there was none yet."""
        times = []
        for name in self.NAMES[1:]:
            count = json.loads(http("GET", f"http://127.0.0.1:{self.ports[name]}/count"))
            if count["requests"] > 0:
                times.append(count["first_us"] / 1e6)
        return min(times, default=None)

    def stop(self):
        for process in self.processes.values():
            process.stop()


class Server:
    """tokenfirst with a store of its own in `folder`, and the user alice."""

    def __init__(self, folder, delivery, ports, password=None, in_flight=256, effects=None, services=None,
                 retention=None, more=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.store = f"sqlite:{self.folder}/tokenfirst.db"
        config = {
            "listen": "127.0.0.1:0",
            "store": self.store,
            "background": {"drain": "1s"},
            # inline effects hold their request's thread: with the default of 64 it is those that inline runs out of
            "requests": {"login": {"threads": 128}},
            # one user and one address are all that there is
            "throttle": {"exempt": ["127.0.0.0/8"]},
            "log": {"level": "info"},
            **(more or {}),
        }
        if password:
            config["password"] = password
        if delivery:
            config["effects"] = {name: self.effect(name, delivery, ports[name], in_flight) for name in Sinks.NAMES}
        if effects:
            config["effects"] = effects
        if services:
            config["services"] = services
        if retention:
            config["retention"] = retention
        self.config = self.folder / "config.json"
        self.config.write_text(json.dumps(config, indent=2))
        added = subprocess.run([str(BUILD / "tokenfirst"), "user", "add", USER, "--email", f"{USER}@example.com",
                                "--password-stdin", "-c", str(self.config)],
                               input=PASSWORD.encode(), capture_output=True, timeout=20)
        if added.returncode != 0:
            raise Failed(f"user add: {added.stderr.decode()}")
        self.start()

    @staticmethod
    def effect(name, delivery, port, in_flight):
        effect = {"type": name, "on": ["user.login"], "delivery": delivery, "max_in_flight": in_flight}
        if name == "email":
            effect.update(url=f"smtp://127.0.0.1:{port}", template=os.path.abspath("config/templates"))
            effect["from"] = "auth@example.com"
        else:
            effect["url"] = f"http://127.0.0.1:{port}/{name}"
        return effect

    def start(self):
        """Until it listens; the seconds that took."""

        def address(line):
            if '"message":"listening"' in line:
                return json.loads(line)["address"]
            return None

        self.process = Process([BUILD / "tokenfirst", "serve", "-c", self.config], f"{self.folder}/server.log")
        self.url = "http://" + self.process.await_line(address)
        return time.monotonic() - self.process.started

    def stop(self):
        return self.process.stop()

    def kill(self):
        self.process.popen.kill()
        self.process.wait(10)

    def metrics(self, name, contains=""):
        """The sum of all series of a metric whose labels contain a text."""
        total = 0.0
        for line in http("GET", f"{self.url}/metrics").splitlines():
            if line.split("{")[0].split(" ")[0] == name and contains in line:
                total += float(line.rsplit(" ", 1)[1])
        return total

    def login(self):
        return json.loads(http("POST", f"{self.url}/login", LOGIN_BODY))

    def await_delivered(self, seconds):
        """Waits until nothing is owed; the seconds that took, or None."""
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            if self.metrics("tokenfirst_effects_pending") == 0:
                return time.monotonic() - start
            time.sleep(0.1)
        return None


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def percentile(samples, percent):
    """Nearest rank."""
    samples = sorted(samples)
    rank = -(-len(samples) * percent // 100)
    return samples[max(0, int(rank) - 1)]


def machine_idle():
    """Seconds that the CPUs together have been idle so far."""
    fields = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()
    return (int(fields[4]) + int(fields[5])) / TICKS


class Timed:
    """Runs a load generator, and says who used how much CPU time meanwhile."""

    most_foreign = 0.0  # the largest share that programs other than ours took in any run

    def __init__(self, server=None, sinks=None, logins=None, called="logins' client"):
        self.server, self.sinks, self.logins, self.called = server, sinks, logins, called

    def run(self, words, folder):
        before, idle = self.read(), machine_idle()
        start = time.monotonic()
        load = Process(words, f"{folder}/load.log")
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
        Timed.most_foreign = max(Timed.most_foreign, self.foreign)
        self.seconds = seconds
        return result

    def read(self):
        return (self.server.process.cpu() if self.server else 0, self.sinks.cpu() if self.sinks else 0,
                self.logins.cpu() if self.logins else 0)

    def text(self):
        parts = [f"{name} {share:.0%}" for name, share in self.shares.items() if share > 0]
        return ", ".join(parts + [f"others {self.foreign:.0%}"])


def open_loop(url, rate, seconds, connections=64, method="POST", body=LOGIN_BODY, headers=(), grace=10, samples=None):
    words = [SUPPORT / "open_loop", "--url", url, "--method", method, "--rate", max(1, round(rate)),
             "--duration", seconds, "--connections", connections, "--grace", grace]
    if body:
        words += ["--body", body, "--header", "Content-Type: application/json"]
    for header in headers:
        words += ["--header", header]
    if samples:
        words += ["--samples", samples]
    return words


def wrk(url, seconds, connections=16):
    return ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", "scripts/bench/login.lua", url]


def wrk_events(url, seconds, token, connections=64):
    return ["env", f"TOKENFIRST_TOKEN={token}", "wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s",
            "scripts/bench/events.lua", url]
