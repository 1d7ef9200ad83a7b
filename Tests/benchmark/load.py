"""Load on a proxy, and the CPU time that the proxy spent on it."""

import json
import subprocess
from dataclasses import dataclass

from processes import find_program
from proxies import SERVER_NAME


@dataclass(frozen=True)
class Work:
    """One kind of load."""

    name: str
    path: str
    outstanding: int = 64
    sessions: int = 1
    request_bytes: int = 0
    reply_bytes: int = 0
    # Over TLS to the origin; the load generators speak clear text.
    is_tls: bool = False
    # Whether each request has a connection, and so a handshake, of its own.
    is_alone: bool = False
    # Whether each request under way has a connection pinned to it.
    is_pinned: bool = False


WORKS = {
    work.name: work
    for work in (
        Work("empty-64", "/empty"),
        Work("empty-64-sessions-8", "/empty", sessions=8),
        Work("empty-64-sessions-2", "/empty", sessions=2),
        Work("empty-1", "/empty", outstanding=1),
        Work("pinned-64", "/empty", is_pinned=True),
        Work("reply-64k", "/64k", reply_bytes=65_536),
        Work("reply-8m", "/8m", reply_bytes=8_388_608),
        Work("request-64k", "/sink", request_bytes=65_536),
        Work("tls-empty-64", "/empty", is_tls=True),
        Work("tls-reply-8m", "/8m", reply_bytes=8_388_608, is_tls=True),
        Work("tls-resumed-64", "/close", is_tls=True, is_alone=True),
    )
}

# wrk tells its counts through this script; the body is made once.
WRK_SCRIPT = """
local bytes = tonumber(os.getenv("REQUEST_BYTES"))
if bytes > 0 then
  wrk.method = "POST"
  wrk.body = string.rep("x", bytes)
end
function done(summary, latency, requests)
  local errors = summary.errors
  print(string.format('{"requests":%d,"bytes":%d,"failures":%d}', summary.requests, summary.bytes,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


def run_json(arguments, environment, seconds):
    """Runs a load generator; returns the JSON object on the last line that is one."""
    done = subprocess.run(
        list(map(str, arguments)),
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        env=environment,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not lines:
        raise RuntimeError(f"{' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout}{done.stderr}")
    return json.loads(lines[-1])


class WRK:
    """Load over TCP with keep-alive: as many connections as requests are outstanding."""

    def __init__(self, place):
        self.program = find_program("wrk")
        self.script = place.file("wrk.lua", WRK_SCRIPT)

    def run(self, port, work, seconds):
        """Returns the requests that were answered. Large replies count by their bytes: wrk cuts many off at the end."""
        arguments = [self.program, "-t1", f"-c{work.outstanding}", f"-d{seconds}s", "--timeout", "30s"]
        arguments += ["-s", self.script, f"http://127.0.0.1:{port}{work.path}"]
        result = run_json(arguments, {"REQUEST_BYTES": str(work.request_bytes)}, seconds)
        check_failures(result, work)
        return result["bytes"] / work.reply_bytes if work.reply_bytes >= 1 << 20 else result["requests"]


class Bench:
    """Load through the socket of a sidecar, by `outrigger bench`."""

    def __init__(self, program, socket, origin):
        self.program = program
        self.socket = socket
        self.origin = origin

    def run(self, work, seconds):
        """Returns the requests that were answered: all that reached the origin, as the generator awaits every end."""
        port = self.origin.tls_port if work.is_tls else self.origin.port
        arguments = [self.program, "bench", "--socket", self.socket, "--address", f"127.0.0.1:{port}"]
        if work.is_tls:
            arguments += ["--https", "--authority", SERVER_NAME]
        arguments += ["--path", work.path, "--outstanding", work.outstanding, "--sessions", work.sessions]
        arguments += ["--warmup", 0, "--duration", seconds, "--json"]
        if work.is_pinned:
            arguments += ["--pin"]
        if work.request_bytes > 0:
            arguments += ["--method", "POST", "--request-body-bytes", work.request_bytes]
        before = self.origin.requests()
        check_failures(run_json(arguments, None, seconds), work)
        return self.origin.requests() - before


def check_failures(result, work):
    """Raises when a request failed: then the rest says nothing."""
    if result["failures"] > 0:
        raise RuntimeError(f"{work.name}: {result['failures']} of {result['requests']} requests failed: {result}")


def cpu_microseconds(process, load):
    """CPU time of `process` for each request that `load` makes."""
    before = process.cpu_nanoseconds()
    requests = load()
    process.check()
    if requests <= 0:
        raise RuntimeError("not one request was answered in time")
    return (process.cpu_nanoseconds() - before) / 1000 / requests
