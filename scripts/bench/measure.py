"""One run of the benchmarks: its folders, its times, what it says, and its results."""

import json
import os
import pathlib
import subprocess

from load import Timed
from processes import BUILD, SUPPORT
from server import Server
from sinks import Sinks
from tables import Results

SINK_LATENCY_MS = 200


def output_of(words):
    """The first line that a program says of itself; None: there is none."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=20)
    except OSError:
        return None
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0] if lines and done.returncode == 0 else None


class Bench:
    """What every part is given. `folder` is for what a part needs meanwhile, `data` for what is kept."""

    def __init__(self, times, quick, data):
        self.times, self.quick, self.data = times, quick, pathlib.Path(data)
        self.folder = self.data / "work"
        self.folder.mkdir(parents=True)
        self.results = Results()
        self.hashes = {"stock": [], "reused": []}
        self.saturated = None  # logins a second with four durable effects; the part "speed" measures it
        self.log = open(self.data / "report.txt", "w", encoding="utf-8")

    def say(self, text):
        print(text, flush=True)
        print(text, file=self.log, flush=True)

    def keep(self, kind, **facts):
        """Raw data: one JSON object a line, in loads.jsonl."""
        with open(self.data / "loads.jsonl", "a", encoding="utf-8") as out:
            out.write(json.dumps({"kind": kind, **facts}) + "\n")

    def result(self, name, value, unit, target, higher=False):
        self.results.add(name, value, unit, target, higher)

    def server(self, name, delivery, ports=None, **more):
        return Server(self.folder / name, delivery, ports, **more)

    def sinks(self, name, latency_ms, ports=None):
        folder = self.folder / name
        folder.mkdir()
        return Sinks(folder, latency_ms, ports)

    def hash_rate(self):
        """Adds a round of hashes a second, all cores at it: of stock libsodium, and with memory that is used again."""
        words = [SUPPORT / "hash_rate", "--threads", os.cpu_count(), "--seconds", self.times["hash"]]
        rate = Timed().run(words + ["--reuse"], self.folder)
        self.hashes["stock"].append(rate["per_second"])
        self.hashes["reused"].append(rate["variants"]["reuse"]["per_second"])
        self.keep("hash", **rate)

    def hashes_per_second(self, kind="stock"):
        """The mean of all rounds so far."""
        if not self.hashes[kind]:
            self.hash_rate()
        rounds = self.hashes[kind]
        return sum(rounds) / len(rounds)

    def hash_ms(self):
        """How long one hash takes when all cores hash."""
        return os.cpu_count() * 1000 / self.hashes_per_second()

    def machine(self):
        """What all numbers depend on."""
        cpu = next((line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                    if line.startswith("model name")), "unknown processor")
        facts = {"cores": os.cpu_count(), "cpu": cpu, "kernel": os.uname().release,
                 "filesystem": (output_of(["findmnt", "-n", "-o", "FSTYPE", "-T", str(self.data)]) or "unknown"),
                 "tokenfirst": output_of([str(BUILD / "tokenfirst"), "--version"])}
        (self.data / "machine.json").write_text(json.dumps(facts, indent=1) + "\n")
        self.say(f"{facts['cores']} cores, {facts['cpu']}, Linux {facts['kernel']}, stores on {facts['filesystem']};"
                 f" {facts['tokenfirst']}")

    def finish(self):
        self.say("\n" + self.results.text())
        if Timed.most_foreign > 0.05:
            self.say(f"\nOther programs took up to {Timed.most_foreign:.0%} of the CPU time: measure again on an idle machine.")
        if self.quick:
            self.say("\nA quick run shows that the benchmarks run. Its numbers are rough: quote those of make bench.")
        (self.data / "results.json").write_text(json.dumps(self.results.rows, indent=1) + "\n")
        self.say(f"raw data: {self.data}")
        self.log.close()
