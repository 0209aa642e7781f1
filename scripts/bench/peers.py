"""The programs that tokenfirst is compared with: Fastify and BullMQ on Redis, Glewlwyd; each with its folder and ports.

What is not installed raises Missing with a reason, which the tables print in place of a figure.
"""

import functools
import json
import os
import pathlib
import shutil
import socket
import sqlite3
import subprocess
import time
import urllib.error

from processes import Failed, Process, free_port, http
from server import LOGIN_BODY, PASSWORD, USER

SOURCES = pathlib.Path("scripts/bench/peers").resolve()
PACKAGES = pathlib.Path("build/npm-bench").resolve()
GLEWLWYD_SQL = pathlib.Path("/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3")


class Missing(Exception):
    """A peer that can't be had here, and why."""


def program(name, package):
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if not found:
        raise Missing(f"no {name} ({package})")
    return found


def refused(url, body):
    """Whether a login with a wrong password gets 401: else it would not be one that is measured."""
    try:
        http("POST", url, body)
    except urllib.error.HTTPError as error:
        return error.code == 401
    return False


class Redis:
    """A server of our own with an empty folder. `durable`: each command is on disk before its answer, as our rows are."""

    def __init__(self, folder, durable=False):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.port = free_port()
        # no snapshots: one that happened to start within a measurement would take a core
        words = [program("redis-server", "redis-server"), "--port", self.port, "--bind", "127.0.0.1", "--dir", self.folder,
                 "--save", "", "--maxmemory-policy", "noeviction", "--appendonly", "yes" if durable else "no"]
        self.process = Process(words + (["--appendfsync", "always"] if durable else []), self.folder / "redis.log")
        self.process.await_line(lambda line: "Ready to accept connections" in line)
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def integer(self, command):
        """Sends an inline command whose reply is a number (or +OK: 0)."""
        self.socket.sendall(command.encode() + b"\r\n")
        reply = b""
        while not reply.endswith(b"\r\n"):
            reply += self.socket.recv(4096)
        if reply[:1] == b":":
            return int(reply[1:])
        if reply != b"+OK\r\n":
            raise Failed(f"redis: {command}: {reply.decode()}")
        return 0

    def jobs(self):
        """Of the queue: those that wait or are under way, and those that were given up."""
        key = "bull:effects:"
        owed = sum(self.integer(f"LLEN {key}{state}") for state in ("wait", "active"))
        return owed + self.integer(f"ZCARD {key}delayed"), self.integer(f"ZCARD {key}failed")

    def cpu(self):
        return self.process.cpu()

    def stop(self):
        self.socket.close()
        self.process.stop(10)


@functools.cache
def node():
    """The interpreter, with the packages in place and our sources beside them, where they find them."""
    installed = PACKAGES / "installed.json"
    if not shutil.which("node") or not shutil.which("npm"):
        raise Missing("no Node.js with npm")
    if not installed.exists() or installed.read_text() != (SOURCES / "package.json").read_text():
        raise Missing("no npm packages in build/npm-bench: scripts/install-deps bench")
    for source in SOURCES.glob("*.mjs"):
        shutil.copy(source, PACKAGES)
    return shutil.which("node")


class Script:
    """One of the programs in scripts/bench/peers, running."""

    def __init__(self, name, redis, folder, says, ports=None, env=None):
        settings = {"NODE_ENV": "production", "REDIS_PORT": str(redis.port), "SINK_PORTS": json.dumps(ports or {}),
                    "BENCH_USER": USER, "BENCH_PASSWORD": PASSWORD, **(env or {})}
        self.process = Process([node(), PACKAGES / f"{name}.mjs"], f"{folder}/{name}.log", settings, PACKAGES)
        self.line = self.process.await_line(lambda line: line if line.startswith(says) else None, 30)

    def cpu(self):
        return self.process.family_cpu()

    def trouble(self):
        lines = self.process.log.read_text(errors="replace").splitlines()
        return next((line for line in lines if line.startswith(("failed", "error"))), None)


class Stack:
    """Fastify, BullMQ and Redis: a login with four jobs, with `worker` also their delivery to `sinks`."""

    def __init__(self, folder, sinks, worker, durable=False):
        node()
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.sinks, self.worker = sinks, None
        self.redis = Redis(self.folder / "redis", durable)
        # hashes are computed on libuv's threads, all together as many as there are cores; one process of JavaScript keeps
        # several cores of them busy
        processes = max(1, os.cpu_count() // 4)
        self.login = Script("login", self.redis, self.folder, "listening ", env={
            "PROCESSES": str(processes), "UV_THREADPOOL_SIZE": str(-(-os.cpu_count() // processes))})
        self.url = "http://" + self.login.line.split()[1]
        if worker:
            self.worker = Script("worker", self.redis, self.folder, "ready", sinks.ports)
        if not refused(f"{self.url}/login", LOGIN_BODY.replace(PASSWORD, "wrong")):
            raise Failed("Fastify's login does not refuse a wrong password")
        http("POST", f"{self.url}/login", LOGIN_BODY)

    def cpu(self):
        return sum(part.cpu() for part in (self.login, self.worker, self.redis) if part)

    def forget(self):
        """Jobs that nobody is to deliver; the scripts that BullMQ has loaded stay."""
        self.redis.integer("FLUSHALL")

    def await_delivered(self, seconds):
        """Waits until no job is left; the seconds that took, or None."""
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            if self.redis.jobs()[0] == 0:
                return time.monotonic() - start
            time.sleep(0.02)
        return None

    def stop(self):
        for part in (self.login, self.worker):
            if part:
                part.process.stop(10)
        self.redis.stop()


class Glewlwyd:
    """Debian's package with a database of its own, as its own SQL makes it, and the account that this brings."""

    ACCOUNT = {"TOKENFIRST_USER": "admin", "TOKENFIRST_PASSWORD": "password"}  # for login.lua, which sends what it expects

    def __init__(self, folder):
        binary = program("glewlwyd", "glewlwyd")
        if not GLEWLWYD_SQL.exists():
            raise Missing(f"no {GLEWLWYD_SQL}")
        self.folder = pathlib.Path(folder)
        (self.folder / "none").mkdir(parents=True)
        database = self.folder / "glewlwyd.db"
        with sqlite3.connect(database) as db:
            db.executescript(GLEWLWYD_SQL.read_text())
        db.close()
        port = free_port()
        config = self.folder / "glewlwyd.conf"
        config.write_text(self.config(port, database))
        self.process = Process([binary, f"--config-file={config}"], self.folder / "glewlwyd.log")
        self.url = f"http://127.0.0.1:{port}"
        self.await_listening(port)
        if not refused(f"{self.url}/api/auth/", json.dumps({"username": "admin", "password": "wrong"})):
            raise Failed("Glewlwyd does not refuse a wrong password")
        http("POST", f"{self.url}/api/auth/", json.dumps({"username": "admin", "password": "password"}))

    def config(self, port, database):
        modules = "/usr/lib/glewlwyd"
        texts = {
            "bind_address": "127.0.0.1", "external_url": f"http://127.0.0.1:{port}", "login_url": "login.html",
            "api_prefix": "api", "static_files_path": "/usr/share/glewlwyd/webapp/", "log_mode": "console",
            "log_level": "ERROR", "cookie_domain": "127.0.0.1", "session_key": "GLEWLWYD2_SESSION_ID",
            "admin_session_authentication": "cookie", "profile_session_authentication": "cookie",
            "admin_scope": "g_admin", "profile_scope": "g_profile", "hash_algorithm": "SHA512",
            "user_module_path": f"{modules}/user", "user_middleware_module_path": f"{self.folder}/none",
            "client_module_path": f"{modules}/client", "user_auth_scheme_module_path": f"{modules}/scheme",
            "plugin_module_path": f"{modules}/plugin",
        }
        lines = [f"port={port}", "cookie_secure=0", "session_expiration=2419200", "login_api_enabled=true"]
        lines += [f'{name}="{text}"' for name, text in texts.items()]
        return "\n".join(lines) + f'\ndatabase = {{ type = "sqlite3" path = "{database}" }};\n'

    def await_listening(self, port):
        until = time.monotonic() + 10
        while time.monotonic() < until and self.process.popen.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.05)
        raise Failed(f"Glewlwyd did not start:\n{self.process.log.read_text(errors='replace')[-2000:]}")

    def cpu(self):
        return self.process.cpu()

    def stop(self):
        self.process.stop(10)


def first_line(words):
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=20).stdout.strip().splitlines()[0]
    except (OSError, IndexError):
        return "none"


def versions():
    """What the comparisons are with, for the head of the report."""
    wanted = json.loads((SOURCES / "package.json").read_text())["dependencies"]
    packages = {}
    for name in wanted:
        path = PACKAGES / "node_modules" / name / "package.json"
        packages[name] = json.loads(path.read_text())["version"] if path.exists() else "none"
    debian = {name: first_line(["dpkg-query", "-W", "-f=${Version}", name]) for name in ("redis-server", "glewlwyd")}
    return {"node": first_line(["node", "--version"]), **packages, **debian}
