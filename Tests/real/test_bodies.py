# test_bodies.py: bodies that stream both ways under credit, early replies, 100-continue, upgrades.
# Source: DESIGN "Back-pressure, end to end"; RFC 9110 §7.8, §10.1.1; RFC 9112 §9.3.
import asyncio
import os
import zlib

import pytest

from origin import HEAD_END, answering, reply
from outrigger import BODY, END, END_STREAM, INTERIM, REPLY, pb
from world import ask, fate, get, outcome, until

MIB = 1 << 20
RESIDENT_MAX = 64 * MIB
CHUNKED = {"body": pb.BODY_CHUNKED}
CHUNKED_OK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked" + HEAD_END


async def echo(peer):
    """Answers at once, and gives every chunk back as it comes."""
    await peer.head()
    await peer.send(CHUNKED_OK)
    while size := int(await peer.until(b"\r\n"), 16):
        data = await peer.reader.readexactly(size + 2)
        await peer.send(b"%x\r\n" % size + data)
    await peer.until(b"\r\n")
    await peer.send(b"0\r\n\r\n")


async def test_request_and_reply_stream_at_the_same_time(world):
    origin = await world.origin(echo)
    session = await world.session()
    stream = session.start(ask("POST", origin, **CHUNKED))
    assert (await stream.receive()).type == REPLY
    for number in range(50):  # each chunk comes back before the next one is sent
        data = bytes([number]) * (1 + number * 700)
        await stream.send(data)
        echoed = b""
        while len(echoed) < len(data):
            echoed += (await stream.receive()).message.data
        assert echoed == data
    stream.finish()
    answer = await stream.answer()
    assert (outcome(answer), fate(answer)) == ("COMPLETE", "POOLED")


async def test_a_stream_without_credit_stalls_alone_and_takes_no_memory(world):
    sent = []

    async def endless(peer):
        await peer.head()
        peer.writer.transport.set_write_buffer_limits(65_536)
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d" % (64 * MIB) + HEAD_END)
        while len(sent) * 65_536 < 64 * MIB * 20:
            await peer.send(bytes(65_536))
            sent.append(1)

    slow = await world.origin(endless)
    quick = await world.origin(answering(reply(bytes(MIB))))
    session = await world.session(initial_credit_bytes=10_000)
    stalled = [session.start(get(slow)) for _ in range(20)]
    for stream in stalled:
        stream.credits_itself = False
        received = 0
        while received < 10_000:
            frame = await stream.receive()
            received += len(frame.message.data) if frame.type == BODY else 0
        assert received == 10_000, "not a byte beyond its credit"
    for _ in range(5):  # the same session's other streams go on
        answer = await session.exchange(get(quick))
        assert (outcome(answer), len(answer.body)) == ("COMPLETE", MIB)
    assert all(stream.frames.empty() for stream in stalled)
    assert world.sidecar.resident(peak=True) < RESIDENT_MAX
    stalled[7].credit(5)
    frame = await stalled[7].receive()
    assert len(frame.message.data) == 5
    for stream in stalled:
        stream.cancel()
        assert outcome(await stream.answer()) == "CANCELLED"


async def test_an_upstream_that_does_not_read_holds_back_the_proxy_by_credit(world):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(ask("PUT", origin, length=64 * MIB))
    peer = await origin.connection()
    peer.pause()
    sending = asyncio.create_task(stream.send(bytes(64 * MIB)))
    other = await world.origin(answering(reply(bytes(MIB))))
    for _ in range(5):
        assert outcome(await session.exchange(get(other))) == "COMPLETE"
    assert world.sidecar.resident(peak=True) < RESIDENT_MAX
    assert not sending.done()
    peer.resume()
    await peer.head()
    await peer.reader.readexactly(64 * MIB)
    await sending
    stream.finish()
    await peer.send(reply(b"thanks"))
    answer = await stream.answer()
    assert (outcome(answer), answer.end.request_body_bytes) == ("COMPLETE", 64 * MIB)


def volume():
    """Bytes of the large transfers: 1 GiB, or 10 GiB with OUTRIGGER_HUGE=1."""
    return (10 if os.environ.get("OUTRIGGER_HUGE") == "1" else 1) << 30


BLOCK = os.urandom(256 * 1024)


async def source(peer, framing):
    await peer.head()
    await peer.send(b"HTTP/1.1 200 OK\r\n" + framing(volume()) + HEAD_END)
    chunked = b"chunked" in framing(0)
    for _ in range(volume() // len(BLOCK)):
        await peer.send(b"%x\r\n" % len(BLOCK) + BLOCK + b"\r\n" if chunked else BLOCK)
    await peer.send(b"0\r\n\r\n" if chunked else b"")


@pytest.mark.alone
@pytest.mark.parametrize(
    "framing",
    [lambda count: b"Content-Length: %d" % count, lambda _: b"Transfer-Encoding: chunked"],
    ids=["length", "chunked"],
)
async def test_a_huge_reply_passes_whole_and_the_process_stays_small(world, framing):
    origin = await world.origin(lambda peer: source(peer, framing))
    session = await world.session(initial_credit_bytes=4 * MIB, frame_payload_bytes_max=MIB)
    stream = session.start(get(origin))
    check, total = 0, 0
    while (frame := await stream.receive()).type != END:
        if frame.type == BODY:
            check = zlib.crc32(frame.message.data, check)
            total += len(frame.message.data)
    assert pb.Outcome.Name(frame.message.outcome) == "OUTCOME_COMPLETE"
    expected = 0
    for _ in range(volume() // len(BLOCK)):
        expected = zlib.crc32(BLOCK, expected)
    assert (total, check) == (volume(), expected)
    assert world.sidecar.resident(peak=True) < RESIDENT_MAX


@pytest.mark.alone
async def test_a_huge_request_passes_whole_and_the_process_stays_small(world):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(ask("PUT", origin, length=volume()))
    peer = await origin.connection()
    await peer.head()

    async def upload():
        for _ in range(volume() // len(BLOCK)):
            await stream.send(BLOCK)
        stream.finish()

    async def take():
        check, left = 0, volume()
        while left:
            data = await peer.reader.read(min(left, MIB))
            check, left = zlib.crc32(data, check), left - len(data)
        await peer.send(reply(b"%d" % check))

    _, _, answer = await asyncio.gather(upload(), take(), stream.answer())
    expected = 0
    for _ in range(volume() // len(BLOCK)):
        expected = zlib.crc32(BLOCK, expected)
    assert (outcome(answer), bytes(answer.body)) == ("COMPLETE", b"%d" % expected)
    assert world.sidecar.resident(peak=True) < RESIDENT_MAX


async def test_an_early_reply_is_delivered_while_the_body_goes_on_and_then_the_connection_is_reused(world):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(ask("POST", origin, length=2 * MIB))
    peer = await origin.connection()
    await peer.head()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10" + HEAD_END + b"01234")
    assert (await stream.receive()).type == REPLY
    await asyncio.gather(stream.send(bytes(2 * MIB)), peer.body())
    stream.finish()
    await peer.send(b"56789")
    answer = await stream.answer()
    assert (outcome(answer), bytes(answer.body)[-5:]) == ("COMPLETE", b"56789")
    assert (fate(answer), answer.end.request_body_bytes) == ("POOLED", 2 * MIB)


async def test_a_whole_reply_before_the_request_is_whole_closes_the_connection(world):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(ask("POST", origin, length=100))
    peer = await origin.connection()
    await peer.head()
    await stream.send(b"x" * 10)
    await peer.read(10)
    await peer.send(reply(b"too large", b"413 Content Too Large"))
    answer = await stream.answer()
    assert (outcome(answer), answer.reply.status, bytes(answer.body)) == ("COMPLETE", 413, b"too large")
    assert fate(answer) == "CLOSED"
    assert await peer.ended() == b""
    again = session.start(get(origin))
    fresh = await origin.connection()
    await fresh.head()
    await fresh.send(reply(b"own"))
    assert (await again.answer()).body == b"own"


@pytest.mark.parametrize("ending", ["FIN", "RST"])
async def test_an_early_reply_survives_that_the_upstream_closes_on_the_body(world, ending):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(ask("POST", origin, **CHUNKED))
    peer = await origin.connection()
    await peer.head()
    await peer.send(reply(b"go away", b"413 Content Too Large", b"Connection: close"))
    if ending == "FIN":
        peer.close()
    else:
        await until(lambda: not peer.writer.transport.get_write_buffer_size(), "written")
        peer.reset()
    await stream.send(bytes(4 * MIB))
    answer = await stream.answer()
    assert (outcome(answer), answer.reply.status, bytes(answer.body)) == ("COMPLETE", 413, b"go away")


async def expecting(world, **more):
    """A request with Expect: 100-continue whose body the sidecar has, and holds."""
    origin = await world.origin()
    session = await world.session()
    stream = session.start(ask("POST", origin, "/", [(b"Expect", b"100-continue")], length=4, **more))
    peer = await origin.connection()
    head = await peer.head()
    assert head.values(b"expect") == [b"100-continue"]
    await stream.send(b"body")
    stream.finish()
    return origin, session, stream, peer


@pytest.mark.sidecar(continue_milliseconds=60_000)
async def test_the_body_waits_for_100_continue(world):
    _, session, stream, peer = await expecting(world)
    await world.barrier(session)
    assert peer.pending() == b""
    await peer.send(b"HTTP/1.1 100 Continue" + HEAD_END)
    assert await peer.read(4) == b"body"
    await peer.send(reply(b"ok"))
    answer = await stream.answer()
    assert (outcome(answer), fate(answer), bytes(answer.body)) == ("COMPLETE", "POOLED", b"ok")
    assert [one.status for one in answer.interims] == [100]


@pytest.mark.sidecar(continue_milliseconds=100)
async def test_the_body_goes_without_100_continue_when_its_time_is_over(world):
    _, _, stream, peer = await expecting(world)
    assert await peer.read(4) == b"body"
    await peer.send(reply(b"ok"))
    assert outcome(await stream.answer()) == "COMPLETE"


@pytest.mark.sidecar(continue_milliseconds=60_000)
@pytest.mark.parametrize("status", [b"417 Expectation Failed", b"401 Unauthorized", b"200 OK"])
async def test_a_final_reply_instead_of_100_continue_means_that_no_body_is_sent(world, status):
    origin, session, stream, peer = await expecting(world)
    await peer.send(reply(b"no", status))
    answer = await stream.answer()
    assert (outcome(answer), bytes(answer.body), answer.end.request_body_bytes) == ("COMPLETE", b"no", 0)
    assert fate(answer) == "CLOSED", "the upstream may still wait for the body"
    assert await peer.ended() == b""
    again = session.start(get(origin))
    fresh = await origin.connection()
    await fresh.head()
    await fresh.send(reply(b"own"))
    assert (await again.answer()).body == b"own"


SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo" + HEAD_END


async def upgraded(world, first=b""):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(get(origin, upgrade=b"echo"))
    peer = await origin.connection()
    await peer.head()
    await peer.send(SWITCH + first)
    type, _, head = await stream.receive()
    assert (type, head.status, head.body) == (REPLY, 101, pb.REPLY_BODY_TUNNEL)
    return origin, session, stream, peer


async def data(stream, count):
    """So many bytes of the upstream."""
    received = b""
    while len(received) < count:
        type, _, message = await stream.receive()
        assert type == BODY, pb.Outcome.Name(message.outcome)
        received += message.data
    return received


async def test_after_101_bytes_go_both_ways_until_both_sides_have_ended(world):
    _, _, stream, peer = await upgraded(world, b"first words")
    assert await data(stream, 11) == b"first words"
    for number in range(20):
        await stream.send(b"ping %02d" % number)
        assert await peer.read(7) == b"ping %02d" % number
        await peer.send(b"HTTP/1.1 %03d" % number)
        assert await data(stream, 12) == b"HTTP/1.1 %03d" % number
    stream.finish()
    assert await peer.ended() == b"", "the proxy's END_STREAM is a FIN"
    await peer.send(b"last words")
    assert await data(stream, 10) == b"last words"
    peer.close()
    answer = await stream.answer()
    assert outcome(answer) in ("COMPLETE", "COMPLETE_BY_EOF")
    assert (fate(answer), answer.end.request_body_bytes, answer.end.reply_body_bytes) == ("CLOSED", 140, 261)


async def test_after_101_many_bytes_go_both_ways_under_credit(world):
    _, _, stream, peer = await upgraded(world)
    count = 8 * MIB
    _, up, _, down = await asyncio.gather(
        stream.send(bytes(count)),
        peer.reader.readexactly(count),
        peer.send(b"\1" * count),
        data(stream, count),
    )
    assert (up, down) == (bytes(count), b"\1" * count)
    peer.close()
    stream.finish()
    assert outcome(await stream.answer()) in ("COMPLETE", "COMPLETE_BY_EOF")


async def test_after_101_the_upstream_may_end_first(world):
    _, _, stream, peer = await upgraded(world)
    await peer.send(b"bye")
    peer.half_close()
    assert await data(stream, 3) == b"bye"
    stream.finish()
    answer = await stream.answer()
    assert outcome(answer) in ("COMPLETE", "COMPLETE_BY_EOF")
    assert await peer.ended() == b""


async def test_after_101_a_reset_is_not_an_end(world):
    _, _, stream, peer = await upgraded(world)
    peer.reset()
    assert outcome(await stream.answer()) in ("TRUNCATED", "RESET")


async def test_an_upgrade_that_is_not_taken_is_an_ordinary_reply_and_nothing_is_passed_through(world):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(get(origin, upgrade=b"echo"))
    peer = await origin.connection()
    await peer.head()
    await stream.send(b"too early")  # bytes for a tunnel that never comes to be
    await world.barrier(session)
    await peer.send(reply(b"no", b"200 OK", b"Upgrade: echo"))
    answer = await stream.answer()
    assert (outcome(answer), answer.reply.status, bytes(answer.body)) == ("COMPLETE", 200, b"no")
    stream = session.start(get(origin, "/next"))
    if fate(answer) == "CLOSED":
        assert await peer.ended() == b""
        peer = await origin.connection()
    assert (await peer.head()).line == b"GET /next HTTP/1.1", "not a byte of the tunnel before"
    await peer.send(reply(b"own"))
    assert (await stream.answer()).body == b"own"


async def test_interim_replies_come_before_the_reply_as_they_arrive(world):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(get(origin))
    peer = await origin.connection()
    await peer.head()
    await peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>" + HEAD_END)
    type, flags, head = await stream.receive()  # before any byte of the final reply is there
    assert (type, flags & END_STREAM, head.status) == (INTERIM, 0, 103)
    assert [(one.name, one.value) for one in head.fields] == [(b"Link", b"</a.css>")]
    await peer.send(reply(b"x"))
    assert (await stream.answer()).body == b"x"


@pytest.mark.sidecar(session_output_pause_bytes=1 * MIB)
async def test_a_session_that_reads_late_is_waited_for_and_gets_everything(world):
    origin = await world.origin(answering(reply(bytes(range(256)) * 32_768)))
    session, other = await world.session(initial_credit_bytes=16 * MIB), await world.session()
    session.reader._transport.pause_reading()
    streams = [session.start(get(origin)) for _ in range(12)]
    for _ in range(3):
        assert outcome(await other.exchange(get(origin))) == "COMPLETE"
    assert world.sidecar.resident(peak=True) < RESIDENT_MAX
    session.reader._transport.resume_reading()
    for stream in streams:
        answer = await stream.answer()
        assert outcome(answer) == "COMPLETE"
        assert answer.body == bytes(range(256)) * 32_768
