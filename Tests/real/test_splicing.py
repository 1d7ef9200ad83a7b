# test_splicing.py: large replies that go from socket to socket through pipes. Nobody can tell but by the pipes.
# Source: Sources/Engine/Splices.swift; DESIGN "END is exact", "Back-pressure, end to end".
import os
import random

import pytest

from origin import HEAD_END, reply
from outrigger import BODY, REPLY
from world import fate, get, outcome, until

MIB = 1 << 20
RESIDENT_MAX = 64 * MIB


def content(number, count):
    """Bytes that are another's nowhere."""
    return random.Random(number).randbytes(count)


async def numbered(peer):
    """/N/COUNT: COUNT bytes of reply N."""
    while head := await peer.head():
        _, number, count = head.target.decode().split("/")
        await peer.send(reply(content(int(number), int(count))))


def pipes(sidecar):
    folder = f"/proc/{sidecar.process.pid}/fd"
    return sum(os.readlink(f"{folder}/{name}").startswith("pipe:") for name in os.listdir(folder))


@pytest.mark.sidecar(splice_bytes_min=65_536, pipes_max=8)
@pytest.mark.parametrize("unix", [False, True])
async def test_replies_through_pipes_are_exact_beside_small_ones_and_after_a_pause(world, unix):
    origin = await world.origin(numbered, unix=unix)
    session, other = await world.session(), await world.session()
    before = pipes(world.sidecar)
    session.reader._transport.pause_reading()
    counts = [random.Random(n).randrange(3 * MIB) if n % 3 else n for n in range(24)]
    streams = [session.start(get(origin, f"/{n}/{count}")) for n, count in enumerate(counts)]
    assert (await other.exchange(get(origin, f"/99/{MIB}"))).body == content(99, MIB)
    await until(lambda: pipes(world.sidecar) > before, lambda: "no pipe was used")
    assert pipes(world.sidecar) <= before + 2 * 8, "two ends a pipe"
    session.reader._transport.resume_reading()
    for number, stream in enumerate(streams):
        answer = await stream.answer()
        assert (outcome(answer), fate(answer)) == ("COMPLETE", "POOLED")
        assert answer.body == content(number, counts[number])
        assert answer.end.reply_body_bytes == counts[number]
    assert world.sidecar.resident(peak=True) < RESIDENT_MAX


@pytest.mark.sidecar(splice_bytes_min=65_536)
@pytest.mark.parametrize("ending", ["FIN", "RST"])
async def test_a_reply_that_is_cut_in_the_middle_is_truncated_and_every_byte_is_counted(world, ending):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(get(origin))
    peer = await origin.connection()
    await peer.head()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d" % (4 * MIB) + HEAD_END + content(1, 3 * MIB))
    assert (await stream.receive()).type == REPLY
    body = b""
    while len(body) < 3 * MIB:
        frame = await stream.receive()
        assert frame.type == BODY
        body += frame.message.data
    peer.close() if ending == "FIN" else peer.reset()
    answer = await stream.answer()
    assert body == content(1, 3 * MIB)
    assert (outcome(answer), answer.end.reply_body_bytes) == ("TRUNCATED", 3 * MIB)


@pytest.mark.sidecar(splice_bytes_min=65_536)
async def test_a_cancelled_stream_leaves_its_session_in_order(world):
    origin = await world.origin(numbered)
    session = await world.session()
    session.reader._transport.pause_reading()
    before = pipes(world.sidecar)
    streams = [session.start(get(origin, f"/{number}/{8 * MIB}")) for number in range(6)]
    await until(lambda: pipes(world.sidecar) > before, lambda: "no pipe was used")
    for stream in streams[::2]:
        stream.cancel()
    session.reader._transport.resume_reading()
    for number, stream in enumerate(streams):
        answer = await stream.answer()
        assert outcome(answer) == ("COMPLETE" if number % 2 else "CANCELLED")
        assert answer.body == content(number, 8 * MIB)[: answer.end.reply_body_bytes]


@pytest.mark.sidecar(splice_bytes_min=65_536)
async def test_what_pipes_hold_for_a_session_that_goes_is_gone_with_it(world):
    origin = await world.origin(numbered)
    session, other = await world.session(), await world.session()
    before = pipes(world.sidecar)
    session.reader._transport.pause_reading()
    for number in range(6):
        session.start(get(origin, f"/{number}/{8 * MIB}"))
    await until(lambda: pipes(world.sidecar) > before, lambda: "no pipe was used")
    session.writer.transport.abort()
    assert (await other.exchange(get(origin, f"/7/{MIB}"))).body == content(7, MIB)


@pytest.mark.sidecar(splice_bytes_min=65_536, pipes_max=0)
async def test_without_pipes_replies_are_copied(world):
    origin = await world.origin(numbered)
    session = await world.session()
    before = pipes(world.sidecar)
    answer = await session.exchange(get(origin, f"/1/{8 * MIB}"))
    assert answer.body == content(1, 8 * MIB) and pipes(world.sidecar) == before
