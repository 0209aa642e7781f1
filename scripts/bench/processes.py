"""Processes that a benchmark starts: found, ended, and their CPU time and memory read from /proc.

Everything that is started here is ended here, by its id, whatever happens.
"""

import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
import urllib.request

BUILD = pathlib.Path(os.environ.get("BUILD", "build")).resolve()
SUPPORT = BUILD / "tests" / "support"
TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    pass


def http(method, url, body=None, headers=None, timeout=10):
    request = urllib.request.Request(url, method=method, data=body and body.encode(), headers=headers or {})
    if body:
        request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=timeout) as reply:
        return reply.read().decode()


def cpu_of(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Process:
    """A child with its output in a file; `alive` lists those to end."""

    alive = []

    def __init__(self, words, log, env=None, folder=None):
        self.log = pathlib.Path(log)
        self.started = time.monotonic()
        self.owner = threading.current_thread()
        with open(log, "wb") as out:
            self.popen = subprocess.Popen([str(w) for w in words], stdin=subprocess.DEVNULL, stdout=out,
                                          stderr=subprocess.STDOUT, start_new_session=True, cwd=folder,
                                          env={**os.environ, **env} if env else None)
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
        return cpu_of(self.pid)

    def family_cpu(self):
        """Its own and its children's."""
        total = self.cpu()
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            for pid in (task / "children").read_text().split():
                total += cpu_of(pid)
        return total

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
    def stop_all(owner=None):
        """Those that a thread started, or all."""
        for process in list(Process.alive):
            if owner in (None, process.owner):
                process.stop(5)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def machine_idle():
    """Seconds that the CPUs together have been idle so far."""
    fields = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()
    return (int(fields[4]) + int(fields[5])) / TICKS
