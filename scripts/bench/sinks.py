"""Receivers of effects: the programs http_sink and smtp_sink of the tests, and what they counted."""

import json
import pathlib
import re
import time

from processes import SUPPORT, Failed, Process, http

ULID_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid_ms(text):
    """Milliseconds since the epoch, as the server's clock had them."""
    value = 0
    for digit in text[:10]:
        value = value * 32 + ULID_DIGITS.index(digit)
    return value


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

    def requests(self):
        """How many each HTTP sink got so far."""
        return {name: json.loads(http("GET", f"http://127.0.0.1:{self.ports[name]}/count"))["requests"]
                for name in self.NAMES[1:]}

    def mails(self):
        """How many there were; known once it has ended."""
        found = re.search(r"^mails (\d+)", self.processes["email"].log.read_text(), re.MULTILINE)
        if not found:
            raise Failed("the receiver of mails says nothing")
        return int(found.group(1))

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


class Sink:
    """One HTTP receiver, which may keep a log of what it got."""

    def __init__(self, folder, name, latency_ms=0, port=0, log=False):
        self.path = pathlib.Path(folder) / f"{name}.requests"
        words = [SUPPORT / "http_sink", "--port", port, "--latency-ms", latency_ms]
        self.process = Process(words + (["--log", self.path] if log else []), f"{folder}/{name}.log")
        self.port = self.process.await_line(
            lambda line: line.startswith("listening ") and int(line.rsplit(":", 1)[1]))

    def count(self):
        return json.loads(http("GET", f"http://127.0.0.1:{self.port}/count"))

    def cpu(self):
        return self.process.cpu()

    def end_to_end_ms(self):
        """Of each effect in the log: from its event to its arrival. Both clocks are this machine's."""
        wall = time.time() - time.monotonic()
        times = []
        for line in self.path.read_text().splitlines():
            fields = line.split()
            event = fields[-1].split("-")[0]
            if len(event) == 26:
                times.append((float(fields[0]) / 1e6 + wall) * 1000 - ulid_ms(event))
        return times

    def stop(self):
        self.process.stop()
