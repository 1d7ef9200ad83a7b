# test_protocol.py: what a session may say, and what happens to one that says anything else.
# Source: DESIGN "The protocol"; proto/outrigger.proto.
import asyncio
import contextlib

import pytest

import outrigger
from origin import answering, reply
from outrigger import (
    BODY,
    CANCEL,
    CREDIT,
    END_STREAM,
    HEADER,
    HELLO,
    PING,
    PONG,
    REQUEST,
    TRAILERS,
    UNPIN,
    Session,
    pb,
)
from world import ask, get, goaway, outcome, until

HELLO_1 = pb.Hello(version=1).SerializeToString()


def raw(type, stream, payload=b"", flags=0, reserved=0, length=None):
    return HEADER.pack(len(payload) if length is None else length, stream, type, flags, reserved) + payload


async def first_words(world, data):
    """A session whose first bytes are `data`; returns when the sidecar has answered or hung up."""
    session = Session(*await asyncio.open_unix_connection(world.sidecar.path))
    session.task = asyncio.create_task(session.dispatch())
    world.sessions.append(session)
    session.writer.write(data)
    await session.greeted.wait()
    return session


async def test_hello_is_answered_with_version_limits_credit_and_instance(world):
    session = await world.session(software="a test", instance_id=b"proxy-1")
    hello = session.hello
    assert hello.version == 1
    assert 1024 <= hello.frame_payload_bytes_max <= 1 << 20
    assert 1 <= hello.initial_credit_bytes <= 1 << 24
    assert hello.streams_max == 4096
    assert 1 <= len(hello.instance_id) <= 64
    other = await world.session()
    assert other.hello.instance_id == hello.instance_id


HELLO_ROWS = {
    "version 0": (dict(version=0), "PROTOCOL_VERSION"),
    "version 2": (dict(version=2), "PROTOCOL_VERSION"),
    "frame limit too small": (dict(frame_payload_bytes_max=1023), "BAD_HELLO"),
    "frame limit too large": (dict(frame_payload_bytes_max=(1 << 20) + 1), "BAD_HELLO"),
    "credit too large": (dict(initial_credit_bytes=(1 << 24) + 1), "BAD_HELLO"),
    "instance id too long": (dict(instance_id=bytes(65)), "BAD_HELLO"),
    "software too long": (dict(software="x" * 257), "BAD_HELLO"),
    "too many capabilities": (dict(capabilities=["x"] * 65), "BAD_HELLO"),
}


@pytest.mark.parametrize("fields, code", HELLO_ROWS.values(), ids=HELLO_ROWS)
async def test_a_hello_that_cannot_be_met_gets_goaway_and_the_session_is_closed(world, fields, code):
    session = await world.session(**fields)
    await session.closed.wait()
    assert goaway(session) == code
    assert session.goaway.detail


@pytest.mark.parametrize("size", [1024, 1 << 20])
async def test_the_frame_limits_of_a_hello_hold_for_the_frames_to_it(world, size):
    body = bytes(3 << 20)
    origin = await world.origin(answering(reply(body)))
    session = await world.session(frame_payload_bytes_max=size, initial_credit_bytes=1 << 22)
    stream = session.start(get(origin))
    longest, received = 0, 0
    while (frame := await stream.receive()).type != outrigger.END:
        if frame.type == BODY:
            longest = max(longest, frame.message.ByteSize())
            received += len(frame.message.data)
    assert longest <= size
    assert received == len(body)


FIRST_ROWS = {
    "ping first": (raw(PING, 0), "BAD_HELLO"),
    "request first": (raw(REQUEST, 1, b"", END_STREAM), "BAD_HELLO"),
    "hello on a stream": (raw(HELLO, 1, HELLO_1), None),
    "http first": (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", None),
    "garbage in hello": (raw(HELLO, 0, b"\xff\xff\xff"), "BAD_MESSAGE"),
}


@pytest.mark.parametrize("data, code", FIRST_ROWS.values(), ids=FIRST_ROWS)
async def test_a_session_that_does_not_begin_with_hello_is_closed_with_goaway(world, data, code):
    session = await first_words(world, data)
    await session.closed.wait()
    assert session.hello is None
    assert goaway(session) == code if code else goaway(session) not in (None, "DRAINING")


@pytest.mark.sidecar(hello_milliseconds=100)
async def test_a_session_without_hello_is_closed_at_its_deadline(world):
    session = await first_words(world, b"\x00\x00")
    await session.closed.wait()
    assert goaway(session) == "HELLO_TIMEOUT"


def frames(data):
    """Type and payload of each frame."""
    while data:
        length, _, type, _, _ = HEADER.unpack_from(data)
        yield type, data[HEADER.size : HEADER.size + length]
        data = data[HEADER.size + length :]


async def test_a_session_that_is_ended_while_it_sends_hears_why_and_then_ends(world):
    """Writes of asyncio that fail have it drop what it has not read."""

    async def flood(writer):
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(raw(PING, 0) * 1000)
                await writer.drain()

    for _ in range(20):
        reader, writer = await asyncio.open_unix_connection(world.sidecar.path)
        writer.write(raw(HELLO, 0, HELLO_1) + raw(0x7F, 0))
        sending = asyncio.create_task(flood(writer))
        heard = await reader.read()
        sending.cancel()
        writer.close()
        type, payload = list(frames(heard))[-1]
        assert type == outrigger.GOAWAY and pb.GoAway.FromString(payload).code == pb.GOAWAY_BAD_FRAME


async def test_who_does_not_stop_sending_is_closed_all_the_same(world):
    reader, writer = await asyncio.open_unix_connection(world.sidecar.path)
    writer.write(raw(HELLO, 0, HELLO_1) + raw(0x7F, 0))
    began = asyncio.get_running_loop().time()
    with pytest.raises(ConnectionError):
        while True:
            writer.write(raw(PING, 0) * 1000)
            await writer.drain()
            await asyncio.sleep(0)  # nothing tells of the end but a write that fails
    assert 0.9 < asyncio.get_running_loop().time() - began < 10
    writer.close()


BROKEN_ROWS = {
    "over-long frame": (raw(PING, 0, length=1 << 20), "FRAME_TOO_LARGE"),
    "longest length": (raw(PING, 0, length=0xFFFF_FFFF), "FRAME_TOO_LARGE"),
    "reserved bytes": (raw(PING, 0, reserved=1), "BAD_FRAME"),
    "unknown type below 0x80": (raw(0x7F, 0), "BAD_FRAME"),
    "type zero": (raw(0x00, 0), "BAD_FRAME"),
    "unknown flag": (raw(PING, 0, flags=0x80), "BAD_FRAME"),
    "a frame that only the sidecar sends": (raw(outrigger.REPLY, 1), "BAD_FRAME"),
    "second hello": (raw(HELLO, 0, HELLO_1), "STREAM_STATE"),
    "request on stream 0": (raw(REQUEST, 0, flags=END_STREAM), "BAD_FRAME"),
    "body on stream 0": (raw(BODY, 0), "BAD_FRAME"),
    "credit on stream 0": (raw(CREDIT, 0, b"\x08\x01"), "BAD_FRAME"),
    "ping on a stream": (raw(PING, 7), "BAD_FRAME"),
    "unpin on a stream": (raw(UNPIN, 7), "BAD_FRAME"),
    "garbage for a request": (raw(REQUEST, 99, b"\xff\xff\xff", END_STREAM), "BAD_MESSAGE"),
    "a request cut short": (raw(REQUEST, 99, b"\x0a\x05GE", END_STREAM), "BAD_MESSAGE"),
    "garbage for a ping": (raw(PING, 0, b"\x0a\xff"), "BAD_MESSAGE"),
    "a ping too long": (raw(PING, 0, b"\x0a\x41" + bytes(65)), "BAD_MESSAGE"),
    "a request on an open stream": (raw(REQUEST, 1, b"", END_STREAM), "STREAM_REUSED"),
    "garbage for a body": (raw(BODY, 1, b"\x0a\x05ab"), "BAD_MESSAGE"),
    "garbage for credit": (raw(CREDIT, 1, b"\xff"), "BAD_MESSAGE"),
    "credit of nothing": (raw(CREDIT, 1), "BAD_MESSAGE"),
    "credit beyond its limit": (raw(CREDIT, 1, b"\x08\x81\x80\x80\x08"), "BAD_MESSAGE"),
    "body after its end": (raw(BODY, 1, b"", END_STREAM) + raw(BODY, 1, b"\x0a\x01x"), "STREAM_STATE"),
    "trailers without END_STREAM": (raw(TRAILERS, 1), None),
    "trailers after the end": (raw(BODY, 1, b"", END_STREAM) + raw(TRAILERS, 1, b"", END_STREAM),
                               "STREAM_STATE"),
}  # fmt: skip


@pytest.mark.parametrize("data, code", BROKEN_ROWS.values(), ids=BROKEN_ROWS)
async def test_a_broken_frame_ends_its_session_and_no_other(world, data, code):
    origin = await world.origin()
    broken, other = await world.session(), await world.session()
    upload = broken.start(ask("POST", origin, "/broken", body=pb.BODY_CHUNKED))
    victim = await origin.connection()
    await victim.head()
    download = other.start(get(origin, "/other"))
    bystander = await origin.connection()
    await bystander.head()

    broken.writer.write(data)
    await broken.closed.wait()
    assert goaway(broken) == code if code else goaway(broken) not in (None, "DRAINING")
    assert broken.goaway.detail
    await victim.ended()  # its stream is cancelled upstream
    assert upload.id in broken.streams, "no END comes after GOAWAY"

    await bystander.send(reply(b"untouched"))
    answer = await download.answer()
    assert (outcome(answer), answer.body) == ("COMPLETE", b"untouched")


async def test_more_credit_may_come_in_many_frames(world):
    origin = await world.origin(answering(reply(bytes(100_000))))
    session = await world.session(initial_credit_bytes=1)
    stream = session.start(get(origin))
    for _ in range(100):
        stream.credit(1000)
    answer = await stream.answer()
    assert (outcome(answer), len(answer.body)) == ("COMPLETE", 100_000)


async def test_trailers_with_a_body_of_known_length_are_refused(world):
    origin = await world.origin()
    session, other = await world.session(), await world.session()
    stream = session.start(ask("POST", origin, length=4))
    victim = await origin.connection()
    await victim.head()
    stream.finish(trailers=[(b"x-sum", b"1")])
    await session.closed.wait()
    assert goaway(session) == "STREAM_STATE"
    assert b"x-sum" not in await victim.ended()
    await world.barrier(other)


@pytest.mark.parametrize("sent", [3, 5])
async def test_a_body_that_is_not_as_long_as_announced_never_counts_as_sent(world, sent):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(ask("POST", origin, length=4))
    victim = await origin.connection()
    await victim.head()
    session.send(BODY, stream.id, pb.BodyChunk(data=b"x" * sent), END_STREAM)
    rest = await victim.ended()
    assert rest in (b"", b"xxx", b"xxxx")
    try:
        assert outcome(await stream.answer()) == "BAD_REQUEST"
    except outrigger.SessionClosed:
        assert goaway(session) == "STREAM_STATE"


async def test_more_body_than_credit_ends_the_session(world):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(ask("PUT", origin, length=64 << 20))
    peer = await origin.connection()
    peer.pause()  # so that no new credit comes
    while stream.send_credit > 0:
        await stream.send(bytes(stream.send_credit))
        await world.barrier(session)
    before = len(world.sidecar.descriptors())
    session.send(BODY, stream.id, pb.BodyChunk(data=b"x"))
    await session.closed.wait()
    assert goaway(session) == "CREDIT_EXCEEDED"
    await until(lambda: len(world.sidecar.descriptors()) == before - 2, "session and connection are closed")


@pytest.mark.parametrize("rest", ["END_STREAM", "TRAILERS", "CANCEL"])
async def test_frames_that_cross_the_end_of_their_stream_are_ignored(world, rest):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(ask("PUT", origin, "/one", body=pb.BODY_CHUNKED))
    peer = await origin.connection()
    await peer.head()
    await peer.send(reply(b"early"))
    assert (outcome(await stream.answer())) == "COMPLETE"
    for _ in range(10):
        session.send(BODY, stream.id, pb.BodyChunk(data=b"late"))
        session.send(CREDIT, stream.id, pb.Credit(bytes=10))
    if rest == "CANCEL":
        stream.cancel()
    else:
        stream.finish([] if rest == "TRAILERS" else None)
    session.send(CREDIT, stream.id, pb.Credit(bytes=10))
    session.send(CANCEL, stream.id, pb.Cancel(detail="very late"))
    await world.barrier(session)
    assert b"late" not in await peer.ended()
    session.ids = iter([stream.id])  # and the id may be used again
    again = session.start(get(origin, "/two"))
    fresh = await origin.connection()
    assert (await fresh.head()).target == b"/two"
    await fresh.send(reply(b"own"))
    assert (await again.answer()).body == b"own"


async def test_an_id_may_be_used_again_when_its_stream_has_ended(world):
    origin = await world.origin(answering())
    session = await world.session()
    for target in "/one", "/two", "/three":
        session.ids = iter([0xFFFF_FFFF])
        answer = await session.exchange(get(origin, target))
        assert (outcome(answer), answer.body) == ("COMPLETE", target.encode())


async def test_unknown_frames_of_later_versions_are_skipped(world):
    origin = await world.origin(answering())
    session = await world.session()
    session.writer.write(raw(0x80, 0, b"what is this") + raw(0xFF, 77, bytes(60_000), flags=0xFF))
    answer = await session.exchange(get(origin, "/known"))
    assert answer.body == b"/known"


async def test_a_ping_comes_back_as_it_was(world):
    session = await world.session()
    session.send(PING, 0, pb.Ping(data=bytes(range(64))))
    assert (await session.pongs.get()).data == bytes(range(64))
    session.send(PONG, 0, pb.Ping(data=b"nobody asked"))
    session.send(UNPIN, 0, pb.Unpin(token=b"t"))
    await world.barrier(session)


BODY_ROWS = {
    "usual": b"\x0a\x03abc",
    "padded length": b"\x0a\x83\x80\x00abc",
    "padded tag": b"\x8a\x00\x03abc",
    "field given twice: the last counts": b"\x0a\x02no\x0a\x03abc",
    "unknown field before": b"\x10\x07\x0a\x03abc",
    "unknown field after": b"\x0a\x03abc\x1a\x02zz",
}


@pytest.mark.parametrize("payload", BODY_ROWS.values(), ids=BODY_ROWS)
async def test_a_body_of_any_valid_protobuf_shape_is_read(world, payload):
    origin = await world.origin(answering())
    session = await world.session()
    stream = session.start(ask("PUT", origin, length=6))
    session.writer.write(raw(BODY, stream.id, payload))
    session.writer.write(raw(BODY, stream.id, payload, END_STREAM))
    answer = await stream.answer()
    assert outcome(answer) == "COMPLETE"
    assert bytes(origin.peers[0].received).endswith(b"\r\n\r\nabcabc")
    assert answer.end.request_body_bytes == 6


async def test_frames_may_arrive_byte_by_byte(world):
    origin = await world.origin(answering())
    session = await world.session()
    message = ask("PUT", origin, "/slow", length=3).SerializeToString()
    data = raw(REQUEST, 1, message) + raw(BODY, 1, b"\x0a\x03abc", END_STREAM)
    stream = session.streams[1] = outrigger.Stream(session, 1)
    for byte in data:
        session.writer.write(bytes([byte]))
        await session.writer.drain()
    answer = await stream.answer()
    assert (outcome(answer), answer.body) == ("COMPLETE", b"/slow")


@pytest.mark.sidecar(streams_per_session_max=2)
async def test_one_stream_more_than_a_session_may_have_ends_overloaded(world):
    asked = asyncio.Event()

    async def serve(peer):
        await peer.head()
        if len(origin.requests) == 3:
            asked.set()
        # Before that a connection that is free would serve one whose own has not been reported yet.
        await asked.wait()
        await peer.send(reply())

    origin = await world.origin(serve)
    session, other = await world.session(), await world.session()
    assert session.hello.streams_max == 2
    streams = [session.start(get(origin, f"/{number}")) for number in range(3)]
    assert outcome(await streams[2].answer()) == "OVERLOADED"
    elsewhere = other.start(get(origin))  # the limit is the session's
    for stream in [*streams[:2], elsewhere]:
        assert outcome(await stream.answer()) == "COMPLETE"


@pytest.mark.sidecar(session_output_bytes_max=1 << 20, session_output_pause_bytes=1 << 18)
async def test_a_session_that_does_not_read_what_it_asks_for_is_closed(world):
    origin = await world.origin()
    other = await world.session()
    session = Session(*await asyncio.open_unix_connection(world.sidecar.path, limit=1))
    session.writer.write(raw(HELLO, 0, pb.Hello(version=1).SerializeToString()))
    session.writer.write(raw(REQUEST, 1, get(origin).SerializeToString(), END_STREAM))
    peer = await origin.connection()
    await peer.head()
    pings = raw(PING, 0, pb.Ping(data=bytes(64)).SerializeToString()) * 1000
    with contextlib.suppress(ConnectionError):
        for _ in range(200):  # 15 MB of answers, more than the kernel and the limit hold together
            session.writer.write(pings)
            await session.writer.drain()
    await peer.ended()  # its stream is cancelled upstream
    task = asyncio.create_task(other.exchange(get(origin)))
    bystander = await origin.connection()
    await bystander.head()
    await bystander.send(reply(b"untouched"))
    assert (await task).body == b"untouched"
    session.writer.transport.abort()
