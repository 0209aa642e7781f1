"""tokenfirst itself, as a benchmark runs it: a configuration, a store of its own, and the user alice."""

import json
import os
import pathlib
import subprocess
import time

from processes import BUILD, Failed, Process, http
from sinks import Sinks

USER, PASSWORD = "alice", "correct horse battery staple"
LOGIN_BODY = json.dumps({"username": USER, "password": PASSWORD})


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

    def cpu(self):
        return self.process.cpu()

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
