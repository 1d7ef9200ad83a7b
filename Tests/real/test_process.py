# test_process.py: the process: its socket file, who may speak to it, how it stops.
# Source: DESIGN "The protocol"; issue "Connections"; sysexits.h.
import asyncio
import os
import resource
import signal
import socket
import stat
import subprocess
import sys

import pytest

from origin import HEAD_END, Blackhole, answering, reply
from outrigger import GOAWAY, HEADER, HELLO, REPLY, REQUEST, Session, exchange, pb
from world import Sidecar, ask, get, goaway, outcome

EX_UNAVAILABLE, EX_CANTCREAT = 69, 73


async def test_the_socket_is_for_its_owner_and_group_only(world):
    mode = os.stat(world.sidecar.path).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660


async def test_the_mode_does_not_follow_the_umask(world):
    before = os.umask(0o077)
    try:
        other = await world.start_sidecar(f"{world.folder}/umask.sock")
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(other.path).st_mode) == 0o660


FOREIGN = """
import os, socket, sys
os.setgid(65534); os.setuid(65534)
one = socket.socket(socket.AF_UNIX)
one.connect(sys.argv[1])
try: one.sendall(bytes.fromhex(sys.argv[2]))
except BrokenPipeError: pass  # it has gone before we spoke; what it said is still there to be read
sys.stdout.buffer.write(one.recv(65536))
"""


async def first_frame_for_nobody(sidecar):
    """What the sidecar says first to a process of another user: the type of the frame, and its payload."""
    os.chmod(sidecar.path, 0o666)
    payload = pb.Hello(version=1).SerializeToString()
    hello = HEADER.pack(len(payload), 0, HELLO, 0, 0) + payload
    words = [sys.executable, "-c", FOREIGN, sidecar.path, hello.hex()]
    child = await asyncio.create_subprocess_exec(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    data, complaint = await child.communicate()
    assert len(data) > HEADER.size, complaint.decode()
    return HEADER.unpack(data[: HEADER.size])[2], data[HEADER.size :]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_a_peer_of_another_user_is_told_to_go_away_even_if_the_file_lets_it_in(world):
    kind, payload = await first_frame_for_nobody(world.sidecar)
    assert kind == GOAWAY and pb.GoAway.FromString(payload).code == pb.GOAWAY_FORBIDDEN
    own = await world.session()
    await world.barrier(own)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.sidecar(allow_uid=65534)
async def test_a_peer_of_a_user_that_is_allowed_is_served(world):
    kind, payload = await first_frame_for_nobody(world.sidecar)
    assert kind == HELLO and pb.Hello.FromString(payload).version == 1


async def test_a_stale_socket_file_is_replaced(world):
    path = f"{world.folder}/stale.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    assert os.path.exists(path)
    second = await world.start_sidecar(path)
    await second.kill()
    assert os.path.exists(path), "a process that is killed leaves it"
    third = await world.start_sidecar(path)
    assert await speaks(third)


async def speaks(sidecar):
    async with await Session.open(sidecar.path) as session:
        return session.hello is not None


async def test_a_live_socket_file_is_left_to_its_owner(world):
    rival = await Sidecar(world.executable, world.folder, {}, world.sidecar.path).launch()
    assert await rival.exited() == EX_UNAVAILABLE
    assert world.sidecar.path in rival.words()
    assert await speaks(world.sidecar)


@pytest.mark.parametrize("kind", ["file", "folder", "pipe", "dangling link"])
async def test_what_is_no_socket_is_never_replaced(world, kind):
    path = f"{world.folder}/precious"
    match kind:
        case "file":
            with open(path, "w") as file:
                file.write("data")
        case "folder":
            os.mkdir(path)
        case "pipe":
            os.mkfifo(path)
        case "dangling link":
            os.symlink(f"{world.folder}/nothing", path)
    before = os.lstat(path)
    rival = await Sidecar(world.executable, world.folder, {}, path).launch()
    assert await rival.exited() == EX_CANTCREAT
    assert path in rival.words() and "no socket is in its place" in rival.words()
    after = os.lstat(path)
    assert (after.st_ino, after.st_mode, after.st_size) == (before.st_ino, before.st_mode, before.st_size)


async def test_a_link_to_a_live_socket_is_a_socket_in_use(world):
    path = f"{world.folder}/link.sock"
    os.symlink(world.sidecar.path, path)
    rival = await Sidecar(world.executable, world.folder, {}, path).launch()
    assert await rival.exited() == EX_UNAVAILABLE and "another process" in rival.words()
    assert await speaks(world.sidecar)


@pytest.mark.parametrize("path", ["/nowhere/at/all.sock", "x" * 200])
async def test_a_socket_that_cannot_be_made_is_a_clear_error(world, path):
    rival = await Sidecar(world.executable, world.folder, {}, path).launch()
    assert await rival.exited() in (EX_CANTCREAT, 64, 77)
    assert rival.words()
    assert not os.path.exists(path)


async def test_the_socket_file_is_gone_after_an_orderly_stop(world):
    world.ends_itself = True
    world.sidecar.terminate()
    assert await world.sidecar.exited() == 0
    assert not os.path.exists(world.sidecar.path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_sigterm_or_sigint_lets_open_streams_finish_and_then_exits_with_0(world, number):
    world.ends_itself = True
    origin = await world.origin()
    session, quiet = await world.session(), await world.session()
    download, upload = session.start(get(origin)), session.start(ask("PUT", origin, length=4))
    peers = [await origin.connection() for _ in range(2)]
    for peer in peers:
        await peer.head()
    peers.sort(key=lambda peer: peer.requests[0].method)
    await peers[0].send(b"HTTP/1.1 200 OK\r\nContent-Length: 8" + HEAD_END + b"half")
    assert (await download.receive()).type == REPLY

    world.sidecar.process.send_signal(number)
    for one in session, quiet:
        await one.leaving.wait()
        assert goaway(one) == "DRAINING"
    late = await session.exchange(get(origin, "/late"))
    assert outcome(late) == "DRAINING" and late.end.repeatable
    assert world.sidecar.process.returncode is None
    await peers[0].send(b"half")
    answer = await download.answer()
    assert (outcome(answer), bytes(answer.body)) == ("COMPLETE", b"halfhalf")
    await upload.send(b"body")
    upload.finish()
    await peers[1].body()
    await peers[1].send(reply(b"stored"))
    assert (await upload.answer()).body == b"stored"
    assert await world.sidecar.exited() == 0
    assert len(origin.requests) == 2
    for one in session, quiet:
        await one.closed.wait()


async def test_while_it_drains_no_new_session_is_served(world):
    world.ends_itself = True
    origin = await world.origin()
    session = await world.session()
    stream = session.start(get(origin))
    peer = await origin.connection()
    await peer.head()
    world.sidecar.terminate()
    await session.leaving.wait()
    try:
        late = await Session.open(world.sidecar.path)
        assert late.hello is None or outcome(await late.exchange(get(origin, "/late"))) == "DRAINING"
        late.writer.close()
    except OSError:
        pass  # refused, or no such file
    await peer.send(reply())
    assert outcome(await stream.answer()) == "COMPLETE"
    assert await world.sidecar.exited() == 0


@pytest.mark.sidecar(drain_milliseconds=200, connections_per_endpoint_max=1)
async def test_streams_that_outlast_the_grace_period_end_draining(world):
    world.ends_itself = True
    origin = await world.origin()
    session = await world.session()
    with Blackhole() as hole:
        streams = {"head sent": session.start(get(origin))}
        peer = await origin.connection()
        await peer.head()
        streams["queued"] = session.start(get(origin))
        streams["dialing"] = session.start(get([hole.endpoint]))
        await world.barrier(session)
        world.sidecar.terminate()
        ends = {name: outcome(await stream.answer()) for name, stream in streams.items()}
        assert ends == dict.fromkeys(streams, "DRAINING")
        assert await world.sidecar.exited() == 0
    await peer.ended()


@pytest.mark.sidecar(drain_milliseconds=600_000)
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_exits_at_once(world, second):
    world.ends_itself = True
    origin = await world.origin()
    session = await world.session()
    session.start(get(origin))
    peer = await origin.connection()
    await peer.head()
    world.sidecar.terminate()
    await session.leaving.wait()
    assert world.sidecar.process.returncode is None
    world.sidecar.process.send_signal(second)
    assert await world.sidecar.exited() in (0, 128 + second, -second)
    await peer.ended()
    await session.closed.wait()


@pytest.mark.sidecar(workers=4)
async def test_sigterm_with_many_workers_exits_with_0_at_once(world):
    world.ends_itself = True
    origin = await world.origin(answering())
    sessions = [await world.session() for _ in range(8)]
    for session in sessions:
        assert outcome(await session.exchange(get(origin))) == "COMPLETE"
    world.sidecar.terminate()
    assert await world.sidecar.exited(5) == 0, "long before the grace period is over"


async def test_sigterm_with_nothing_open_exits_with_0_at_once(world):
    world.ends_itself = True
    origin = await world.origin(answering())
    session = await world.session()
    assert outcome(await session.exchange(get(origin))) == "COMPLETE"  # leaves an idle connection
    world.sidecar.terminate()
    assert await world.sidecar.exited(5) == 0


@pytest.mark.sidecar(drain_milliseconds=300)
async def test_a_proxy_that_does_not_read_cannot_hold_up_the_exit(world):
    world.ends_itself = True
    origin = await world.origin(answering(reply(bytes(4 << 20))))
    _, writer = await asyncio.open_unix_connection(world.sidecar.path, limit=1)
    hello = pb.Hello(version=1, initial_credit_bytes=1 << 24).SerializeToString()
    message = get(origin).SerializeToString()
    for kind, stream, payload in (HELLO, 0, hello), (REQUEST, 1, message):
        writer.write(HEADER.pack(len(payload), stream, kind, stream, 0) + payload)
    await origin.connection()
    world.sidecar.terminate()
    assert await world.sidecar.exited() == 0
    writer.transport.abort()


@pytest.mark.parametrize("number", [signal.SIGPIPE, signal.SIGHUP])
async def test_signals_that_are_none_of_its_business_do_not_end_it(world, number):
    world.sidecar.process.send_signal(number)
    assert await speaks(world.sidecar)


async def test_the_blocking_helper_of_the_harness_works_too(world):
    origin = await world.origin(answering())
    answer = await asyncio.to_thread(exchange, world.sidecar.path, get(origin, "/blocking"))
    assert (outcome(answer), answer.body) == ("COMPLETE", b"/blocking")


@pytest.mark.sidecar(connections_max=64)
async def test_running_out_of_descriptors_refuses_and_recovers(world):
    origin = await world.origin(answering())
    session = await world.session()
    pid = world.sidecar.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(world.sidecar.descriptors()), before[1]))
    answer = await session.exchange(get(origin))
    assert outcome(answer) != "COMPLETE" and answer.end.detail
    crowd = [await asyncio.open_unix_connection(world.sidecar.path) for _ in range(5)]
    for _, writer in crowd:
        writer.close()
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    answer = await session.exchange(get(origin))
    assert outcome(answer) == "COMPLETE"
    assert await speaks(world.sidecar)


@pytest.mark.alone
async def test_memory_does_not_grow_with_the_number_of_requests(world):
    async def serve(peer):
        while True:
            head = await peer.reader.readuntil(HEAD_END)
            if b"/reset" in head:
                return peer.close()
            await peer.send(reply(bytes(1000)))

    origin = await world.origin(serve)

    async def load(count):
        session = await world.session()
        for begin in range(0, count, 50):
            targets = ["/reset" if number % 10 == 7 else "/" for number in range(begin, begin + 50)]
            await asyncio.gather(*(session.exchange(get(origin, target)) for target in targets))
        session.writer.close()
        await session.task

    await load(3000)
    before = world.sidecar.resident()
    for _ in range(4):
        await load(3000)
    assert world.sidecar.resident() - before < 1 << 20
