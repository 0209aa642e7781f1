"""The server under valgrind's callgrind: what it executes between two moments, by function.

Costs are taken over all threads. They are zeroed and written by commands to the running valgrind (vgdb), so that nothing
of start-up is in them.
"""

import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
from processes import BUILD, Failed, Process  # noqa: E402
from server import Server  # noqa: E402

START_S = 120
COMMAND_S = 60
# valgrind counts a string instruction (rep stosb) once a byte, and a cleared buffer of 32 KiB would be a fifth of a request.
# Above these sizes glibc takes it; below, vectors of 32 bytes, which is what either costs.
TUNABLES = "glibc.cpu.x86_rep_stosb_threshold=0x40000000:glibc.cpu.x86_rep_movsb_threshold=0x40000000"
ALLOCATORS = ("malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc")


class Profile:
    """One file of callgrind, format 1: https://valgrind.org/docs/manual/cl-format.html"""

    def __init__(self, path):
        self.instructions = None
        self.inclusive = {}  # of each callee, by name: instructions of all calls to it from other functions
        self.allocations = 0
        names = {}
        caller = callee = calls = None
        with open(path, encoding="ascii", errors="replace") as file:
            for line in file:
                key, _, value = line.rstrip("\n").partition("=")
                if calls is not None:
                    self.add_calls(caller, callee, calls, int(line.split()[-1]))
                    calls = None
                elif key == "fn":
                    caller = self.name(names, value)
                elif key == "cfn":
                    callee = self.name(names, value)
                elif key == "calls":
                    calls = int(value.split()[0])
                elif line.startswith("totals:"):
                    self.instructions = int(line.split()[1])
        if self.instructions is None:
            raise Failed(f"{path}: no totals")

    @staticmethod
    def name(names, value):
        """Names are written once, with a number, and are that number from then on: (12) main, later (12)."""
        number, _, text = value.partition(" ")
        if text:
            names[number] = text.split("'")[0]  # main'2 is main, called from itself
        return names[number]

    def add_calls(self, caller, callee, calls, instructions):
        if caller != callee:
            self.inclusive[callee] = self.inclusive.get(callee, 0) + instructions
        # realloc(NULL) is malloc's work, and one allocation
        if callee in ALLOCATORS and caller not in ALLOCATORS:
            self.allocations += calls


class CountedServer(Server):
    """As `Server`, under callgrind, its dumps beside its store."""

    dumps = 0

    def start(self):
        self.prefix = self.folder / "vgdb"
        self.out = self.folder / "callgrind"
        words = ["env", f"GLIBC_TUNABLES={TUNABLES}", "valgrind", "--quiet", "--tool=callgrind", "--fair-sched=yes", f"--vgdb-prefix={self.prefix}",
                 f"--callgrind-out-file={self.out}", BUILD / "tokenfirst", "serve", "-c", self.config]
        self.process = Process(words, f"{self.folder}/server.log")
        self.url = "http://" + self.process.await_line(self.address, START_S)

    @staticmethod
    def address(line):
        return json.loads(line)["address"] if '"message":"listening"' in line else None

    def tell(self, *words):
        told = subprocess.run(["vgdb", f"--pid={self.process.pid}", f"--vgdb-prefix={self.prefix}", *words],
                              capture_output=True, text=True, timeout=COMMAND_S)
        if told.returncode != 0:
            raise Failed(f"vgdb {' '.join(words)}: {told.stderr[-500:]}")

    def zero(self):
        self.tell("zero")

    def dump(self):
        """What was executed since the last zero or dump."""
        self.tell("dump")
        self.dumps += 1
        return Profile(pathlib.Path(f"{self.out}.{self.dumps}"))
