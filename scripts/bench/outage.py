"""One destination ends and comes back ten minutes later: what is owed to it meanwhile, and how long until it has it all.

The receiver's process really ends, and another one is started on its port. Events come at a low and steady rate all the
time, of which each is one durable effect; of each that was answered with 202, the receivers must have seen the effect. Every
second's depth and age are kept in DATA/outage.csv, what was found in DATA/outage.json; plots.py draws them.

In a full run this goes on beside other parts, on a thread of its own: begin() ... end().
"""

import csv
import http.client
import json
import pathlib
import threading
import time

from processes import Failed, Process, free_port, http as fetch
from server import Server
from sinks import Sink

TOKEN = "a-token-of-the-benchmark"
FULL = {"rate": 20, "before": 30, "down": 600, "after": 30, "limit": 300}
QUICK = {"rate": 50, "before": 2, "down": 12, "after": 2, "limit": 60}
SETTLED = 0.25  # seconds' worth of events: what is owed while all is well
GAUGES = {"tokenfirst_effects_pending": "pending", "tokenfirst_effect_oldest_due_seconds": "oldest_s",
          "tokenfirst_breaker_state": "breaker"}


class Load:
    """Events at a steady rate over one connection; the ids of those that were taken."""

    def __init__(self, url, rate):
        self.address, self.interval = url.removeprefix("http://"), 1 / rate
        self.taken, self.refused, self.on = [], 0, True
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        client = http.client.HTTPConnection(self.address, timeout=10)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        due = time.monotonic()
        while self.on:
            body = json.dumps({"type": "order.paid", "subject": str(len(self.taken)), "data": {"total": 12}})
            try:
                client.request("POST", "/events", body, headers)
                reply = client.getresponse()
                text = reply.read()
            except (OSError, http.client.HTTPException):
                client.close()
                self.refused += 1
            else:
                if reply.status == 202:
                    self.taken.append(json.loads(text)["event_id"])
                else:
                    self.refused += 1
            due += self.interval
            time.sleep(max(0.0, due - time.monotonic()))
        client.close()

    def stop(self):
        self.on = False
        self.thread.join()


class Outage:
    def __init__(self, bench):
        self.bench, self.plan = bench, QUICK if bench.quick else FULL
        self.folder = bench.folder / "outage"
        self.folder.mkdir()
        self.samples, self.failure, self.thread, self.cancelled = [], None, None, threading.Event()

    def begin(self):
        plan = self.plan
        self.bench.say(f"an outage of {plan['down']} s goes on in the background from here, at {plan['rate']} events/s")
        self.thread = threading.Thread(target=self.run_caught, name="outage")
        self.thread.start()

    def end(self):
        """Waits for it to be over, and reports."""
        self.thread.join()
        if self.failure:
            raise self.failure
        self.report()

    def cancel(self):
        """Ends it early; nothing is reported."""
        self.cancelled.set()
        if self.thread:
            self.thread.join()

    def run_caught(self):
        try:
            self.run()
        except Exception as failure:  # it is raised where somebody waits
            self.failure = failure
            Process.stop_all(threading.current_thread())

    def run(self):
        plan = self.plan
        port = free_port()
        effect = {"type": "crm", "format": "json", "on": ["order.*"], "delivery": "durable", "url": f"http://127.0.0.1:{port}/"}
        server = Server(self.folder / "server", None, None, effects={"crm": effect}, services={"bench": {"token": TOKEN}})
        sinks = [Sink(self.folder, "before", 0, port, log=True)]
        self.start, cpu = time.monotonic(), server.cpu()
        load = Load(server.url, plan["rate"])
        try:
            self.watch(server, plan["before"], "before")
            sinks[0].stop()
            self.down = time.monotonic() - self.start
            self.watch(server, plan["down"], "down")
            sinks.append(Sink(self.folder, "after", 0, port, log=True))
            self.back = time.monotonic() - self.start
            self.watch(server, plan["limit"], "recovery", self.drained)
            self.drained_at = time.monotonic() - self.start
            self.watch(server, plan["after"], "after")
        finally:
            load.stop()
        self.cpu = (server.cpu() - cpu) / (time.monotonic() - self.start)
        rest = server.await_delivered(30)
        self.dead = server.metrics("tokenfirst_effects_total", 'outcome="dead"')
        server.stop()
        sinks[1].stop()
        if rest is None:
            raise Failed("not all was delivered within 30 s of the last event")
        self.count(load, sinks)

    def drained(self, sample):
        return sample["pending"] <= max(1, self.plan["rate"] * SETTLED)

    def watch(self, server, seconds, phase, done=None):
        """A sample each second, or four while it recovers; until the time is over, or `done` of a sample."""
        interval = 0.25 if done else 1.0
        begun = due = time.monotonic()
        while time.monotonic() - begun < seconds:
            sample = self.sample(server, phase)
            if done and done(sample):
                return
            due += interval
            if self.cancelled.wait(max(0.0, due - time.monotonic())):
                raise Failed("the outage was broken off")
        if done:
            raise Failed(f"still {self.samples[-1]['pending']:.0f} effects owed {seconds} s after the return")

    def sample(self, server, phase):
        values = dict.fromkeys(GAUGES.values(), 0.0)
        for line in fetch("GET", f"{server.url}/metrics").splitlines():
            column = GAUGES.get(line.split("{")[0])
            if column:
                values[column] = float(line.rsplit(" ", 1)[1])
        row = {"seconds": round(time.monotonic() - self.start, 2), "phase": phase, **values}
        self.samples.append(row)
        return row

    def count(self, load, sinks):
        """Of what was taken, what never arrived; and what arrived more than once."""
        arrived = [line.split()[-1].split("-")[0] for sink in sinks for line in sink.path.read_text().splitlines()]
        taken = set(load.taken)
        self.found = {"taken": len(load.taken), "refused": load.refused, "arrived": len(arrived),
                      "lost": len(taken - set(arrived)), "twice": len(arrived) - len(set(arrived)), "dead": self.dead}

    def report(self):
        highest = max(self.samples, key=lambda row: row["pending"])
        self.found.update(down_s=self.down, back_s=self.back, highest=highest["pending"],
                          oldest_s=max(row["oldest_s"] for row in self.samples),
                          drained_s=self.drained_at - self.back, server_cpu=self.cpu, rate=self.plan["rate"])
        data = pathlib.Path(self.bench.data)
        with open(data / "outage.csv", "w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, self.samples[0].keys())
            writer.writeheader()
            writer.writerows(self.samples)
        (data / "outage.json").write_text(json.dumps(self.found, indent=1) + "\n")
        found = self.found
        self.bench.say(f"outage of {self.back - self.down:.0f} s at {found['rate']} events/s ({self.cpu:.1%} of one core for the"
                       f" server): at most {found['highest']:.0f} owed, the oldest for {found['oldest_s']:.0f} s; drained"
                       f" {found['drained_s']:.1f} s after the return; of {found['taken']} taken {found['lost']} lost,"
                       f" {found['twice']} sent twice, {found['dead']:.0f} dead, {found['refused']} refused")
        self.bench.result(f"outage of {self.plan['down']} s: effects lost", found["lost"] + found["dead"], "", 0)
        self.bench.result("outage: seconds from the return until drained", found["drained_s"], " s", 30)


def outage(bench):
    """In the foreground."""
    one = Outage(bench)
    one.begin()
    one.end()


PARTS = {"outage": outage}
