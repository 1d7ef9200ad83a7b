"""Programs that the benchmark starts, and what the kernel knows about them.

Owns: the temporary folder, free ports, start and stop. All that was started ends with the benchmark, however it ends.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path


class Process:
    """A running program with its children."""

    def __init__(self, name, arguments, log, environment=None):
        self.name = name
        self.log = log
        with open(log, "ab") as output:
            # setpriv becomes the program: it asks the kernel to end it when we die.
            self.child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        self.pid = self.child.pid

    def pids(self):
        """The program and its children (nginx: the master and its workers)."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        return [self.pid, *map(int, children.split())]

    def cpu_nanoseconds(self):
        """CPU time of all threads so far: what utime + stime in /proc/PID/stat say, to the nanosecond.

        The id of another process's CPU clock is made as clock_getcpuclockid(3) makes it.
        """
        return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in self.pids())

    def resident_bytes(self):
        """Memory that is in RAM now, shared libraries included."""
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError(f"{self.name} has ended")

    def sockets(self):
        """Open sockets of the program."""
        folder = f"/proc/{self.pid}/fd"
        count = 0
        for entry in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):
                count += os.readlink(f"{folder}/{entry}").startswith("socket:")
        return count

    def check(self):
        """Raises with the end of the log when the program has ended."""
        if self.child.poll() is not None:
            text = Path(self.log).read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"{self.name} ended with {self.child.returncode}:\n{text[-2000:]}")

    def stop(self):
        """Ends the program and its children."""
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                pass
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.child.wait()


class Place:
    """The temporary folder and everything that runs in it."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="outrigger-bench-"))
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def file(self, name, text):
        """Writes a file; returns its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def start(self, name, arguments, environment=None):
        """Starts a program; its output goes to NAME.log."""
        process = Process(name, arguments, self.folder / f"{name}.log", environment)
        self.processes.append(process)
        return process

    def stop(self, process):
        """Ends one program before the others."""
        process.stop()
        self.processes.remove(process)


def free_port():
    """A TCP port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(process, address, seconds=10):
    """Waits until `address` (a port of 127.0.0.1 or the path of a Unix socket) accepts connections."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        process.check()
        family = socket.AF_INET if isinstance(address, int) else socket.AF_UNIX
        with socket.socket(family) as probe, contextlib.suppress(OSError):
            probe.connect(("127.0.0.1", address) if isinstance(address, int) else str(address))
            return
        time.sleep(0.02)
    raise RuntimeError(f"{process.name} does not listen on {address} after {seconds} s")


def find_program(name, *elsewhere):
    """Path of a program in PATH, the places Debian puts daemons, or `elsewhere`; None when it is not installed."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which(name, path=path)
    return found or next((str(place) for place in elsewhere if os.access(place, os.X_OK)), None)
