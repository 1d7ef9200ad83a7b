# test_tls_bodies.py: bodies over TLS, how they end, and what comes between their records.
# Source: RFC 8446 §4.6 (tickets, key updates), §6.1 (close_notify), §5 (records); RFC 5246 §7.4.1.1;
# DESIGN "Semantics": EOF-delimited over TLS is whole only with close_notify.
import asyncio

import pytest

from nginx import pattern
from origin import HEAD_END, answering, reply
from outrigger import BODY, REPLY, pb
from s_server import s_server
from test_tls import V12, V13
from tls import server_context
from world import ask, attempts, fate, get, https, outcome, secure, until

MIB = 1 << 20
RESIDENT_MAX = 100 * MIB
UNFRAMED = b"HTTP/1.1 200 OK" + HEAD_END
TEN = b"HTTP/1.1 200 OK\r\nContent-Length: 10" + HEAD_END
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked" + HEAD_END


async def asked(world, certificates, context=None, target="/", **fields):
    """A request that has arrived at an origin of the test's own: stream and peer."""
    origin = await world.origin(tls=context or server_context(certificates.good))
    session = await world.session()
    stream = session.start(https(origin, certificates, target, **fields))
    peer = await origin.connection()
    await peer.head()
    return origin, session, stream, peer


def put(origin, certificates, target, length):
    return ask("PUT", origin, target, length=length, scheme=pb.SCHEME_HTTPS, tls=secure(certificates))


# Whole bodies, real origins


@pytest.mark.parametrize("name", ["v12", "v13"])
async def test_8_mib_go_both_ways_at_the_same_time(world, secure_nginx, certificates, name):
    session = await world.session()
    body, endpoints = pattern(8 * MIB), [getattr(secure_nginx, name)]
    downloads = [session.exchange(https(endpoints, certificates, "/8m")) for _ in range(3)]
    uploads = [
        session.exchange(put(endpoints, certificates, f"/upload/{name}-{n}", len(body)), body)
        for n in range(3)
    ]
    answers = await asyncio.gather(*downloads, *uploads)
    assert {outcome(one) for one in answers} == {"COMPLETE"}
    assert all(one.body == secure_nginx.contents["8m"] for one in answers[:3])
    assert all(secure_nginx.uploaded(f"{name}-{n}") == body for n in range(3))
    assert world.sidecar.resident(peak=True) < RESIDENT_MAX


@pytest.mark.parametrize("name", ["v12", "v13"])
async def test_many_replies_on_one_connection(world, secure_nginx, certificates, name):
    session = await world.session()
    numbers = []
    for size in ["1k", "64k"] * 20:
        answer = await session.exchange(https([getattr(secure_nginx, name)], certificates, f"/{size}"))
        assert outcome(answer) == "COMPLETE" and answer.body == secure_nginx.contents[size]
        numbers.append(answer.reply.connection.requests)
    assert numbers == list(range(1, 41))


async def test_a_reply_byte_by_byte_in_records_of_one_byte(world, certificates):
    _, _, stream, peer = await asked(world, certificates)
    text = reply(pattern(300), b"200 OK", b"X-A: b")
    for byte in text:
        await peer.send(bytes([byte]))
    answer = await stream.answer()
    assert (outcome(answer), fate(answer), answer.body) == ("COMPLETE", "POOLED", pattern(300))


async def test_records_in_segments_of_one_byte(world, certificates):
    """The transport cuts where it likes, in the handshake too."""
    origin = await world.origin(answering(reply(pattern(2000))), tls=server_context(certificates.good))
    origin.bytewise = True
    session = await world.session()
    for _ in range(2):
        answer = await session.exchange(https(origin, certificates))
        assert (outcome(answer), answer.body) == ("COMPLETE", pattern(2000)), answer.end
    assert len(origin.peers) == 1


async def test_a_reply_without_credit_stops_the_origin(world, certificates):
    _, _, stream, peer = await asked(world, certificates)
    stream.credits_itself = False
    body = bytes(50_000_000)
    sending = asyncio.create_task(
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d" % len(body) + HEAD_END + body)
    )
    received = 0
    while received < 262_144:
        frame = await stream.receive()
        received += len(frame.message.data) if frame.type == BODY else 0
    await world.barrier(stream.session)
    assert stream.frames.empty() and received == 262_144, "no more than the credit"
    assert world.sidecar.resident(peak=True) < RESIDENT_MAX
    stream.credits_itself = True
    stream.credit(1 << 24)
    answer = await stream.answer()
    await sending
    assert outcome(answer) == "COMPLETE" and answer.end.reply_body_bytes == len(body)


async def test_a_request_body_that_the_origin_does_not_read_waits(world, certificates):
    origin = await world.origin(tls=server_context(certificates.good))
    session = await world.session()
    body = bytes(32 * MIB)
    stream = session.start(put(origin, certificates, "/", len(body)))
    sending = asyncio.create_task(stream.send(body))
    peer = await origin.connection()
    await peer.head()
    peer.pause()
    await until(lambda: stream.send_credit == 0, "the credit is used up")
    assert world.sidecar.resident(peak=True) < RESIDENT_MAX
    peer.resume()
    assert await peer.reader.readexactly(len(body)) == body
    await sending
    stream.finish()
    await peer.send(reply(b"ok"))
    assert outcome(await stream.answer()) == "COMPLETE"


# How a body ends

ENDING_ROWS = {
    "no length, close_notify": (UNFRAMED + b"abc", "close", "COMPLETE"),
    "no length, no close_notify": (UNFRAMED + b"abc", "truncate", "TRUNCATED"),
    "no length, reset": (UNFRAMED + b"abc", "reset", "TRUNCATED"),
    "no length, no byte, close_notify": (UNFRAMED, "close", "COMPLETE"),
    "no length, no byte, no close_notify": (UNFRAMED, "truncate", "TRUNCATED"),
    "a length, close_notify before it": (TEN + b"abc", "close", "TRUNCATED"),
    "a length, no close_notify before it": (TEN + b"abc", "truncate", "TRUNCATED"),
    "a length, reached, no close_notify": (TEN + b"0123456789", "truncate", "COMPLETE"),
    "chunks, close_notify before the last": (CHUNKED + b"3\r\nabc\r\n", "close", "TRUNCATED"),
    "chunks, no close_notify before the last": (CHUNKED + b"3\r\nabc\r\n", "truncate", "TRUNCATED"),
    "chunks, the last one, no close_notify": (CHUNKED + b"3\r\nabc\r\n0" + HEAD_END, "truncate", "COMPLETE"),
    "half a head, close_notify": (b"HTTP/1.1 200 OK\r\nA: b", "close", "TRUNCATED"),
    "nothing, close_notify": (b"", "close", "RESET"),
    "nothing, no close_notify": (b"", "truncate", "RESET"),
}


@pytest.mark.parametrize("text, ending, expected", ENDING_ROWS.values(), ids=ENDING_ROWS)
@pytest.mark.parametrize("high", [V12, V13], ids=["1.2", "1.3"])
async def test_a_body_is_whole_only_by_proof(world, certificates, text, ending, expected, high):
    _, _, stream, peer = await asked(world, certificates, server_context(certificates.good, high=high))
    await peer.send(text)
    if ending == "reset":  # which drops what is on its way
        while (await stream.receive()).type != BODY:
            pass
    {"close": peer.close, "truncate": peer.layer.truncate, "reset": peer.reset}[ending]()
    answer = await stream.answer()
    assert outcome(answer) == expected, answer.end
    if expected != "COMPLETE" or text.startswith(UNFRAMED):
        assert fate(answer) == "CLOSED"
    if ending != "reset":
        sent = text.partition(HEAD_END)[2]
        assert bytes(answer.body) == (b"abc" if b"abc" in sent else b"" if not sent else b"0123456789")


async def test_close_notify_is_enough_the_transport_may_stay_open(world, certificates):
    _, _, stream, peer = await asked(world, certificates)
    await peer.send(UNFRAMED + b"abc")
    peer.half_close()  # close_notify, no FIN
    answer = await stream.answer()
    assert (outcome(answer), answer.body, fate(answer)) == ("COMPLETE", b"abc", "CLOSED")


async def test_s_server_killed_in_the_middle_of_a_body(world, certificates):
    async with s_server(certificates.good) as server:
        stream = (await world.session()).start(https([server.endpoint], certificates))
        await server.head()
        await server.send(UNFRAMED + b"abc")
        while (await stream.receive()).type != BODY:
            pass
        server.process.kill()
        assert outcome(await stream.answer()) == "TRUNCATED"


@pytest.mark.sidecar(idle_connection_milliseconds=100)
@pytest.mark.parametrize("high", [V12, V13], ids=["1.2", "1.3"])
async def test_the_sidecar_says_close_notify_when_it_closes(world, certificates, high):
    _, _, stream, peer = await asked(world, certificates, server_context(certificates.good, high=high))
    await peer.send(reply(b"x"))
    assert fate(await stream.answer()) == "POOLED"
    assert await peer.ended() == b"" and peer.layer.was_closed


async def test_the_sidecar_says_close_notify_when_it_drains(world, certificates):
    _, _, stream, peer = await asked(world, certificates)
    await peer.send(reply(b"x"))
    assert fate(await stream.answer()) == "POOLED"
    world.ends_itself = True
    world.sidecar.terminate()
    assert await world.sidecar.exited() == 0
    assert await peer.ended() == b"" and peer.layer.was_closed


async def test_a_cancelled_reply_closes_the_connection(world, certificates):
    _, _, stream, peer = await asked(world, certificates)
    await peer.send(TEN + b"abc")
    while (await stream.receive()).type != BODY:
        pass
    stream.cancel()
    answer = await stream.answer()
    assert (outcome(answer), fate(answer)) == ("CANCELLED", "CLOSED")
    await peer.ended()


# Between the records


@pytest.mark.parametrize("ask_back", [False, True], ids=["one way", "both ways"])
async def test_s_server_updates_its_keys_in_the_middle_of_a_body(world, certificates, ask_back):
    async with s_server(certificates.good, "-tls1_3") as server:
        session = await world.session()
        stream = session.start(https([server.endpoint], certificates))
        await server.head()
        await server.send(TEN + b"abcde")
        while (await stream.receive()).type != BODY:
            pass
        await server.update_keys(ask_back)
        await server.send(b"fghij")
        answer = await stream.answer()
        assert (outcome(answer), fate(answer), answer.body[-5:]) == ("COMPLETE", "POOLED", b"fghij")
        stream = session.start(https([server.endpoint], certificates, "/again"))
        assert (await server.head()).target == b"/again", "with its new keys"
        await server.send(TEN + b"0123456789")
        assert (await stream.answer()).reply.connection.reused


async def test_keys_are_updated_in_the_middle_of_both_bodies(world, certificates):
    origin = await world.origin(tls=server_context(certificates.good))
    session = await world.session()
    body = pattern(4 * MIB)
    stream = session.start(put(origin, certificates, "/", len(body)))
    peer = await origin.connection()
    await peer.head()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d" % len(body) + HEAD_END)

    async def upload():
        await stream.send(body)
        stream.finish()

    async def reads():
        for at in range(0, len(body), MIB):
            assert await peer.reader.readexactly(MIB) == body[at : at + MIB]
            peer.layer.update_keys()

    async def writes():
        for at in range(0, len(body) - 1, MIB):
            await peer.send(body[at : min(at + MIB, len(body) - 1)])
            peer.layer.update_keys()

    async def both():
        await asyncio.gather(reads(), writes())
        await peer.send(body[-1:])  # not before the request is whole: that would end it

    answer, *_ = await asyncio.gather(stream.answer(), upload(), both())
    assert (outcome(answer), answer.body) == ("COMPLETE", body)


QUIET = {
    "a ticket": lambda peer: peer.layer.send_ticket(),
    "three tickets": lambda peer: [peer.layer.send_ticket() for _ in range(3)],
    "a key update": lambda peer: peer.layer.update_keys(False),
    "a key update that asks for one": lambda peer: peer.layer.update_keys(True),
}


@pytest.mark.parametrize("happens", QUIET.values(), ids=QUIET)
async def test_on_an_idle_connection_it_is_no_reason_to_drop_it(world, certificates, happens):
    origin, session, stream, peer = await asked(world, certificates)
    await peer.send(reply(b"first"))
    assert fate(await stream.answer()) == "POOLED"
    happens(peer)
    await peer.writer.drain()
    # The next connection comes later than those bytes, and the sidecar reads what is ready in one turn.
    other = await world.origin(answering())
    assert outcome(await session.exchange(get(other))) == "COMPLETE"
    stream = session.start(https(origin, certificates, "/second"))
    assert (await peer.head()).target == b"/second"
    await peer.send(reply(b"second"))
    answer = await stream.answer()
    assert (outcome(answer), answer.body, answer.reply.connection.reused) == ("COMPLETE", b"second", True)
    assert len(origin.peers) == 1


LOUD = {
    "a byte": lambda peer: peer.writer.write(b"H"),
    "a whole reply": lambda peer: peer.writer.write(reply(b"poison")),
    "close_notify": lambda peer: peer.half_close(),
    "garbage": lambda peer: peer.layer.send_raw(b"\x17\x03\x03\x00\x20" + bytes(32)),
    "the end of the transport": lambda peer: peer.layer.truncate(),
}


@pytest.mark.parametrize("happens", LOUD.values(), ids=LOUD)
async def test_on_an_idle_connection_it_condemns_it(world, certificates, happens):
    origin, session, stream, peer = await asked(world, certificates)
    await peer.send(reply(b"first"))
    assert fate(await stream.answer()) == "POOLED"
    happens(peer)
    await peer.ended()
    stream = session.start(https(origin, certificates, "/second"))
    fresh = await origin.connection()
    assert (await fresh.head()).target == b"/second"
    await fresh.send(reply(b"own"))
    answer = await stream.answer()
    assert (answer.body, answer.reply.connection.reused) == (b"own", False) and len(peer.requests) == 1


@pytest.mark.parametrize("ending", ["close", "truncate", "reset"])
async def test_a_request_that_met_a_closing_connection_is_sent_again(world, certificates, ending):
    origin, session, stream, peer = await asked(world, certificates)
    await peer.send(reply(b"first"))
    await stream.answer()
    stream = session.start(https(origin, certificates, "/again"))
    await peer.head()
    {"close": peer.close, "truncate": peer.layer.truncate, "reset": peer.reset}[ending]()
    fresh = await origin.connection()
    assert (await fresh.head()).target == b"/again"
    await fresh.send(reply(b"own"))
    answer = await stream.answer()
    assert (outcome(answer), answer.body) == ("COMPLETE", b"own")
    assert attempts(answer) == ["STALE", "CONNECTED"] and answer.reply.connection.tls.resumed


async def test_bytes_behind_a_reply_in_its_own_record_condemn_the_connection(world, certificates):
    origin, session, stream, peer = await asked(world, certificates)
    await peer.send(reply(b"first") + reply(b"poison"))
    answer = await stream.answer()
    assert (answer.body, fate(answer)) == (b"first", "CLOSED")
    stream = session.start(https(origin, certificates))
    fresh = await origin.connection()
    await fresh.head()
    await fresh.send(reply(b"own"))
    assert (await stream.answer()).body == b"own"


BROKEN = {
    "a record that does not decrypt": b"\x17\x03\x03\x00\x20" + bytes(32),
    "a record of no known type": b"\x99\x03\x03\x00\x20" + bytes(32),
    "a record too long": b"\x17\x03\x03\xff\xff" + bytes(32),
    "clear text": b"HTTP/1.1 200 OK" + HEAD_END,
}


@pytest.mark.parametrize("garbage", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("begun", [False, True], ids=["before the reply", "in the body"])
async def test_a_broken_record_ends_the_stream_and_its_connection(world, certificates, garbage, begun):
    _, session, stream, peer = await asked(world, certificates)
    if begun:
        await peer.send(TEN + b"abc")
        assert (await stream.receive()).type == REPLY
    peer.layer.send_raw(garbage)
    answer = await stream.answer()
    assert outcome(answer) == ("TRUNCATED" if begun else "TLS_HANDSHAKE")
    assert fate(answer) == "CLOSED" and answer.end.detail
    await peer.ended()


async def test_renegotiation_is_refused(world, certificates):
    async with s_server(certificates.good, "-tls1_2", "-legacy_renegotiation") as server:
        stream = (await world.session()).start(https([server.endpoint], certificates))
        await server.head()
        await server.send(TEN + b"abc")
        while (await stream.receive()).type != BODY:
            pass
        server.process.stdin.write(b"r\n")
        await server.until(b"SSL_do_handshake -> ")
        server.process.kill()
        answer = await stream.answer()
        assert outcome(answer) == "TRUNCATED" and b"CIPHER is" not in server.seen


IDLE = 100
# Half of what OpenSSL takes for the records of one connection.
RELEASED_MIN = IDLE * 16_384


async def test_idle_connections_give_memory_back_and_are_used_again(world, certificates):
    arrived, all_arrived = [], asyncio.Event()

    async def serve(peer):
        await peer.head()
        arrived.append(peer)
        if len(arrived) == IDLE:
            all_arrived.set()
        await all_arrived.wait()
        await peer.send(reply(b"x"))
        await answering()(peer)

    origin = await world.origin(serve, tls=server_context(certificates.good))
    session = await world.session()

    async def ask_all():
        return await asyncio.gather(*(session.exchange(https(origin, certificates)) for _ in range(IDLE)))

    assert [attempts(one) for one in await ask_all()] == [["CONNECTED"]] * IDLE
    busy = world.sidecar.resident()
    await until(
        lambda: world.sidecar.resident() <= busy - RELEASED_MIN,
        lambda: f"{RELEASED_MIN} bytes less than {busy}, but {world.sidecar.resident()}",
    )
    again = await ask_all()
    assert {outcome(one) for one in again} == {"COMPLETE"} and len(origin.peers) == IDLE
    assert [attempts(one) for one in again] == [["REUSED"]] * IDLE
