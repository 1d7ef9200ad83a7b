"""What is counted and not timed: heap allocations, system calls, memory of idle connections."""

import contextlib
import resource
import selectors
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

from processes import find_program

WARM_SECONDS = 2
COUNT_SECONDS = 2
IDLE_CONNECTIONS = 10_000
# Fewer than the sidecar keeps for one pool key (256).
CONNECTIONS_PER_ADDRESS = 250


@contextlib.contextmanager
def under_load(load, seconds):
    """Runs `load` beside the body of the `with`, which must be done before `seconds` are over."""
    failures = []

    def run():
        try:
            load(seconds)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if failures:
        raise failures[0]


def build_counter(place):
    """Compiles the library that counts allocations."""
    library = place.folder / "count_mallocs.so"
    source = Path(__file__).with_name("count_mallocs.c")
    compiler = find_program("cc") or find_program("clang")
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-Wall", "-o", library, source], check=True)
    return library


def allocations(count_file, origin, load):
    """Heap allocations for each request, once warm. Requests are counted by the origin, at the same two moments."""

    def snapshot():
        return struct.unpack("=Q", Path(count_file).read_bytes()[:8])[0], origin.requests()

    with under_load(load, WARM_SECONDS + COUNT_SECONDS + 1):
        time.sleep(WARM_SECONDS)
        before = snapshot()
        time.sleep(COUNT_SECONDS)
        after = snapshot()
    return (after[0] - before[0]) / (after[1] - before[1])


def count_with_perf(pids, seconds):
    """System calls of the processes in `seconds`; None where perf is not there or not allowed."""
    perf = find_program("perf")
    if perf is None:
        return None
    ids = ",".join(map(str, pids))
    command = [perf, "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", ids, "sleep", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in done.stderr.splitlines():
        if "sys_enter" in line and line.split(",")[0].isdigit():
            return int(line.split(",")[0])
    return None


def count_with_strace(pids, seconds):
    """The same by strace, which slows the process down and so makes it serve more requests a call."""
    strace = find_program("strace")
    if strace is None:
        raise RuntimeError("neither perf nor strace can count system calls here")
    targets = [word for pid in pids for word in ("-p", str(pid))]
    command = [strace, "-f", "-c", "-U", "calls", *targets]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        time.sleep(seconds)
        tracer.send_signal(signal.SIGINT)
        lines = tracer.communicate()[1].splitlines()
    numbers = [line.strip() for line in lines if line.strip().isdigit()]
    # The last number is the total.
    return int(numbers[-1])


def system_calls(process, origin, load):
    """System calls for each request, and what counted them."""
    with under_load(load, WARM_SECONDS + COUNT_SECONDS + 3):
        time.sleep(WARM_SECONDS)
        requests = origin.requests()
        count, counter = count_with_perf(process.pids(), COUNT_SECONDS), "perf"
        if count is None:
            requests = origin.requests()
            count, counter = count_with_strace(process.pids(), COUNT_SECONDS), "strace"
        requests = origin.requests() - requests
    return count / requests, counter


def raise_file_limit():
    """Lets this process and those it starts open as many files as the system allows; returns how many."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def varint(value):
    """A protobuf varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number, value):
    """A protobuf field: a varint, or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def frame(kind, stream, flags, payload):
    """A frame of an Outrigger session."""
    return struct.pack(">IIBBH", len(payload), stream, kind, flags, 0) + payload


class IdleConnections:
    """Makes a sidecar hold idle connections: client and origin in one loop.

    The origin listens on many addresses and answers only when CONNECTIONS_PER_ADDRESS requests wait at one of them,
    so that each needs a connection of its own, and no more requests than that are open at once.
    """

    HELLO, REQUEST, END = 0x01, 0x02, 0x12

    def __init__(self, socket_path):
        self.selector = selectors.DefaultSelector()
        self.session = socket.socket(socket.AF_UNIX)
        self.session.connect(str(socket_path))
        self.session.sendall(frame(self.HELLO, 0, 0, field(1, 1)))
        self.selector.register(self.session, selectors.EVENT_READ, "session")
        self.received = b""
        self.ends = 0
        self.waiting = []
        self.sockets = [self.session]
        self.port = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for opened in self.sockets:
            opened.close()
        self.selector.close()

    def open(self, count):
        """Opens `count` connections and leaves them idle."""
        for wave in range(count // CONNECTIONS_PER_ADDRESS):
            address = f"127.0.0.{wave + 1}"
            listener = socket.socket()
            self.sockets.append(listener)
            listener.bind((address, self.port))
            listener.listen(4096)
            self.port = listener.getsockname()[1]
            self.selector.register(listener, selectors.EVENT_READ, "listener")
            for index in range(CONNECTIONS_PER_ADDRESS):
                self.request(wave * CONNECTIONS_PER_ADDRESS + index + 1, address)
            self.run_until(lambda: len(self.waiting) == CONNECTIONS_PER_ADDRESS)
            for connection in self.waiting:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            self.waiting = []
            ends = (wave + 1) * CONNECTIONS_PER_ADDRESS
            self.run_until(lambda ends=ends: self.ends == ends)

    def request(self, stream, address):
        """Sends REQUEST: GET / from `address`."""
        endpoint = field(1, socket.inet_aton(address)) + field(2, self.port)
        message = field(1, b"GET") + field(3, b"idle.test") + field(4, b"/") + field(6, endpoint)
        self.session.sendall(frame(self.REQUEST, stream, 1, message))

    def run_until(self, is_done, seconds=20):
        """Serves both sides until `is_done`."""
        deadline = time.monotonic() + seconds
        while not is_done():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{len(self.waiting)} requests at the origin, {self.ends} ended: no more come")
            for key, _ in self.selector.select(1):
                if key.data == "session":
                    self.take_frames()
                elif key.data == "listener":
                    connection = key.fileobj.accept()[0]
                    self.sockets.append(connection)
                    self.selector.register(connection, selectors.EVENT_READ, "connection")
                elif key.fileobj.recv(65_536).endswith(b"\r\n\r\n"):
                    self.waiting.append(key.fileobj)

    def take_frames(self):
        """Counts END frames; their first field is the outcome, 1 for COMPLETE."""
        bytes_read = self.session.recv(1 << 20)
        if not bytes_read:
            raise RuntimeError("the sidecar closed the session")
        self.received += bytes_read
        while len(self.received) >= 12:
            length, _, kind, _, _ = struct.unpack(">IIBBH", self.received[:12])
            if len(self.received) < 12 + length:
                break
            payload = self.received[12 : 12 + length]
            self.received = self.received[12 + length :]
            if kind == self.END:
                if payload[:2] != b"\x08\x01":
                    raise RuntimeError(f"a request ended with {payload!r}")
                self.ends += 1


def idle_memory(process, socket_path):
    """Bytes that `process` holds for IDLE_CONNECTIONS more than when it was empty."""
    if raise_file_limit() < IDLE_CONNECTIONS + 500:
        raise RuntimeError(f"not measured: 'ulimit -Hn' is under {IDLE_CONNECTIONS + 500}")
    empty = process.resident_bytes()
    with IdleConnections(socket_path) as connections:
        connections.open(IDLE_CONNECTIONS)
        if process.sockets() < IDLE_CONNECTIONS:
            raise RuntimeError(f"only {process.sockets()} sockets are open")
        return process.resident_bytes() - empty
