# world.py: one sidecar process with its upstreams and sessions, and the proof at the end that nothing is left
# of them. Owns: the process, its folder, its flags. Never touches: what a test expects.
import asyncio
import os
import pathlib
import shutil
import signal
import tempfile

import disclosure
import outrigger
from disclosure import CANARY
from origin import Origin
from outrigger import Session, pb
from tls import TlsOrigin

START_SECONDS_MAX = 20
EXIT_SECONDS_MAX = 10
SETTLE_SECONDS_MAX = 10
LISTINGS = "", "pins", "pins.json", "groups", "groups.json", "counts", "counts.json"


def surroundings(more=None):
    """The environment of a process under test. Variables of the tests, such as OUTRIGGER_HUGE, are no settings of it."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("OUTRIGGER_")}
    return own | {"SWIFT_BACKTRACE": "enable=no"} | (more or {})


async def until(condition, what, seconds=SETTLE_SECONDS_MAX):
    """Waits for what only /proc or a file system can tell: they have no events, so this looks repeatedly."""

    async def look():
        while not condition():
            await asyncio.sleep(0.002)

    try:
        await asyncio.wait_for(look(), seconds)
    except TimeoutError:
        raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}") from None


class Sidecar:
    """`outrigger serve` as a process."""

    def __init__(self, executable, folder, flags, path=None, environment=None):
        self.path = path or f"{folder}/outrigger.sock"
        self.environment = environment or {}  # more variables, set before it is launched
        self.log = pathlib.Path(tempfile.mkstemp(dir=folder, prefix="sidecar-", suffix=".log")[1])
        self.admin_path = self.log.with_suffix(".admin")
        options = {"socket": self.path, "workers": 1, "admin_socket": self.admin_path, **flags}
        self.command = [executable, "serve"]
        for name, value in options.items():
            if value is not None:
                self.command += [f"--{name.replace('_', '-')}", str(value)]

    async def start(self):
        """Starts the process and waits until it has answered a HELLO."""
        await self.launch()
        session = await self.first_session()
        self.descriptors_before = len(self.lasting()) - 1  # without this session
        session.writer.close()
        await session.task
        await self.settle(self.lasting, self.descriptors_before)
        return self

    async def launch(self):
        with open(self.log, "wb") as log:
            environment = surroundings(self.environment)
            self.process = await asyncio.create_subprocess_exec(
                *self.command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )
        return self

    async def first_session(self):
        async def attempt():
            while self.process.returncode is None:
                try:
                    return await Session.open(self.path)
                except (FileNotFoundError, ConnectionRefusedError):
                    await asyncio.sleep(0.002)  # it has not bound its socket yet
            raise AssertionError(f"exit code {self.process.returncode}: {self.words()}")

        return await asyncio.wait_for(attempt(), START_SECONDS_MAX)

    def words(self):
        return self.log.read_text(errors="replace")

    async def listed(self):
        """All that an operator is told."""
        replies = []
        for name in LISTINGS:
            reader, writer = await asyncio.open_unix_connection(self.admin_path)
            writer.write(b"GET /%s HTTP/1.1\r\n\r\n" % name.encode())
            replies.append(await asyncio.wait_for(reader.read(), EXIT_SECONDS_MAX))
            assert replies[-1].startswith(b"HTTP/1.1 200 "), (name, replies[-1])
            writer.close()
        return b"".join(replies)

    def descriptors(self):
        return os.listdir(f"/proc/{self.process.pid}/fd")

    def lasting(self):
        """The descriptors but those that come and go without a session: TCP connections, as checks and connections that are
        kept ready begin with the process, and files that are being read."""
        return [name for name in self.descriptors() if not self.is_passing(f"/proc/{self.process.pid}/fd/{name}")]

    def is_passing(self, link):
        try:
            target = os.readlink(link)
            if target.startswith("socket:"):
                return os.getxattr(link, "system.sockprotoname").startswith(b"TCP")  # the sidecar listens on Unix sockets only
            return target != str(self.log) and os.path.isfile(target)
        except FileNotFoundError:  # closed since it was listed
            return True

    def resident(self, peak=False):
        """Resident bytes, now or at most so far."""
        key = "VmHWM:" if peak else "VmRSS:"
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(key):
                return int(line.split()[1]) * 1024
        raise AssertionError("no such line in /proc/PID/status")

    async def settled(self, more=0):
        """Waits until it has as many descriptors open as at its start, when it had no connection, and `more`."""
        await self.settle(self.descriptors, self.descriptors_before + more)

    async def settle(self, descriptors, expected):
        def links():
            folder = f"/proc/{self.process.pid}/fd"
            return [os.readlink(f"{folder}/{name}") for name in os.listdir(folder)]

        await until(lambda: len(descriptors()) == expected, lambda: f"{expected} descriptors, but {links()}")

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    async def exited(self, seconds=EXIT_SECONDS_MAX):
        """Waits for the process to end by itself. Returns its exit code, negative for a signal."""
        return await asyncio.wait_for(self.process.wait(), seconds)

    async def kill(self):
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


class World:
    """`async with` makes the sidecar; at its end all descriptors are given back and SIGTERM exits with 0."""

    def __init__(self, executable, flags):
        self.executable, self.flags = executable, dict(flags)
        self.origins, self.sessions, self.sidecars = [], [], []
        self.ends_itself = False  # the test ends the sidecar: do not do it again
        self.environment = None  # more variables of the sidecar
        self.keeps_connections = False  # servers that outlive the test have idle ones, which are no leak

    async def __aenter__(self):
        # Short, for paths of Unix sockets; open to all, for the test with another user.
        self.folder = tempfile.mkdtemp(prefix="outrigger-")
        os.chmod(self.folder, 0o711)
        try:
            self.sidecar = await self.start_sidecar(environment=self.environment)
        except BaseException:
            await self.discard()
            raise
        return self

    async def start_sidecar(self, path=None, environment=None, **flags):
        sidecar = Sidecar(self.executable, self.folder, {**self.flags, **flags}, path, environment)
        self.sidecars.append(sidecar)
        return await sidecar.start()

    async def session(self, **hello):
        session = await Session.open(self.sidecar.path, **hello)
        self.sessions.append(session)
        return session

    async def origin(self, serve=None, host="127.0.0.1", unix=False, tls=None):
        """`tls`: the context of an origin that speaks it."""
        path = f"{self.folder}/origin-{len(self.origins)}.sock" if unix else None
        origin = TlsOrigin(tls, serve) if tls else Origin(serve)
        self.origins.append(origin)
        return await origin.start(host, path)

    async def barrier(self, session):
        """When this returns, the sidecar has acted on everything that was sent on `session` before."""
        session.send(outrigger.PING, 0, pb.Ping())
        await session.pongs.get()

    async def __aexit__(self, kind, *_):
        try:
            if kind is None:
                await self.prove_clean()
        finally:
            await self.discard()

    async def prove_clean(self):
        await self.listen()
        for session in self.sessions:
            session.writer.close()
            await session.task
        for origin in self.origins:
            await origin.stop()
        if not self.ends_itself:
            if not self.keeps_connections:
                await self.sidecar.settled()
            self.sidecar.terminate()
            assert await self.sidecar.exited() == 0, self.sidecar.words()
        for sidecar in self.sidecars:
            log = sidecar.log.read_bytes()
            assert b"Fatal error" not in log, log.decode(errors="replace")
            disclosure.watch.hear(log, "a log")
        disclosure.watch.prove()

    async def listen(self):
        """Hears what operators are told while all that the test has left is there, pins above all."""
        for origin in self.origins:
            disclosure.watch.confide_upstream(origin)
        if not self.ends_itself and self.sidecar.admin_path.exists():
            disclosure.watch.hear(await self.sidecar.listed(), "a listing")

    async def discard(self):
        for sidecar in self.sidecars:
            if hasattr(sidecar, "process"):
                await sidecar.kill()
        for session in self.sessions:
            session.writer.close()
        for origin in self.origins:
            origin.server.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def get(origin, target="/", headers=(), **more):
    """A GET for one origin, or for a list of endpoints."""
    return ask("GET", origin, target, headers, **more)


def ask(method, origin, target="/", headers=(), authority="origin.test", length=None, **more):
    """`length`: the request has a body of so many bytes."""
    endpoints = origin if isinstance(origin, list) else [origin.endpoint]
    if length is not None:
        more |= {"body": pb.BODY_LENGTH, "body_length": length}
    return outrigger.request(method, authority, target, endpoints, headers, **more)


def secure(certificates, **fields):
    """TLS of one hop, which trusts the tests' own authority unless told otherwise."""
    return pb.Tls(**{"trust": pb.TLS_TRUST_FILE, "trust_path": certificates.file, **fields})


def https(origin, certificates, target="/", headers=(), more=None, **fields):
    """A GET over TLS to the origin; `more` has further fields of the request, `fields` those of its Tls."""
    return get(
        origin, target, headers, scheme=pb.SCHEME_HTTPS, tls=secure(certificates, **fields), **(more or {})
    )


def outcome(answer):
    """The outcome's name, for assertions that can be read."""
    return pb.Outcome.Name(answer.end.outcome).removeprefix("OUTCOME_")


def fate(answer):
    return pb.ConnectionFate.Name(answer.end.connection).removeprefix("FATE_")


def attempts(answer):
    return [pb.AttemptResult.Name(one.result).removeprefix("ATTEMPT_") for one in answer.end.attempts]


def goaway(session):
    return pb.GoAwayCode.Name(session.goaway.code).removeprefix("GOAWAY_") if session.goaway else None
