# test_pool.py: which connection serves a request, and how long one lives.
# Source: DESIGN "No desynchronisation", "Identity is part of the key", "Semantics"; issue "Connections".
import asyncio
import time

import pytest

from origin import HEAD_END, answering, reply
from outrigger import pb
from world import fate, get, outcome


async def together(session, origin, count, make=get):
    """`count` streams that are open at once, each on a connection of its own, in order."""
    pairs = []
    for number in range(count):
        stream = session.start(make(origin, f"/{number}"))
        peer = await origin.connection()
        await peer.head()
        pairs.append((stream, peer))
    return pairs


async def answered(stream, peer, text=b"", *lines):
    await peer.send(reply(text, b"200 OK", *lines))
    answer = await stream.answer()
    assert outcome(answer) == "COMPLETE"
    return answer


async def idle(world, session, origin, count):
    """`count` idle connections; the last one of the list became idle last."""
    pairs = await together(session, origin, count)
    for stream, peer in pairs:
        assert fate(await answered(stream, peer)) == "POOLED"
    return [peer for _, peer in pairs]


async def test_the_newest_idle_connection_is_taken_first(world):
    origin = await world.origin()
    session = await world.session()
    pairs = await together(session, origin, 3)
    for number in 1, 2, 0:  # in this order they become idle
        await answered(*pairs[number])
    peers = [pairs[number][1] for number in (0, 2, 1)]  # newest first
    streams = []
    for peer in peers:
        streams.append(session.start(get(origin, "/again")))
        await peer.head()
    for stream, peer in zip(streams, peers):
        answer = await answered(stream, peer)
        assert answer.reply.connection.reused and answer.reply.connection.requests == 2
    assert len(origin.peers) == 3


async def test_all_sessions_of_a_worker_share_its_pool(world):
    origin = await world.origin(answering())
    for _ in range(3):
        session = await world.session()
        assert outcome(await session.exchange(get(origin))) == "COMPLETE"
        session.writer.close()
        await session.task
    assert len(origin.peers) == 1


@pytest.mark.sidecar(workers=2)
async def test_with_two_workers_everything_is_served_too(world):
    origin = await world.origin(answering())
    sessions = [await world.session() for _ in range(4)]
    answers = await asyncio.gather(*(one.exchange(get(origin, f"/{number}"))
                                     for number in range(40) for one in sessions))  # fmt: skip
    assert {outcome(answer) for answer in answers} == {"COMPLETE"}
    assert len(origin.requests) == 160


async def test_requests_that_differ_in_the_key_never_share_a_connection(world):
    tcp, other = await world.origin(answering()), await world.origin(answering())
    session = await world.session()
    local = pb.Endpoint(ip=bytes([127, 0, 0, 9]))
    requests = [get(tcp), get(other), get(tcp, route=pb.ROUTE_PEER), get(tcp, local_address=local)]
    for expected in 1, 2:
        for message in requests:
            answer = await session.exchange(message)
            assert answer.reply.connection.requests == expected
    assert (len(tcp.peers), len(other.peers)) == (3, 1)


async def test_in_clear_text_the_authority_is_not_part_of_the_key(world):
    origin = await world.origin(answering())
    session = await world.session()
    for authority in "a.test", "b.test":
        assert outcome(await session.exchange(get(origin, authority=authority))) == "COMPLETE"
    assert [head.values(b"host") for head in origin.peers[0].requests] == [[b"a.test"], [b"b.test"]]


async def lifetime(world, *lines):
    """Seconds from the reply to the sidecar's close."""
    origin = await world.origin()
    session = await world.session()
    stream = session.start(get(origin))
    peer = await origin.connection()
    await peer.head()
    begin = time.monotonic()
    answer = await answered(stream, peer, b"", *lines)
    assert await peer.ended() == b""
    return time.monotonic() - begin, fate(answer)


@pytest.mark.sidecar(idle_connection_milliseconds=300)
async def test_an_idle_connection_is_closed_at_the_configured_time(world):
    seconds, kept = await lifetime(world)
    assert kept == "POOLED" and 0.29 < seconds < 3


@pytest.mark.sidecar(idle_connection_milliseconds=300)
async def test_a_longer_keep_alive_of_the_upstream_does_not_lengthen_it(world):
    seconds, kept = await lifetime(world, b"Keep-Alive: timeout=30")
    assert kept == "POOLED" and 0.29 < seconds < 3


async def test_a_shorter_keep_alive_of_the_upstream_less_a_second_is_the_idle_time(world):
    seconds, kept = await lifetime(world, b"Keep-Alive: max=7, timeout=2")
    assert kept == "POOLED" and 0.9 < seconds < 1.9


@pytest.mark.parametrize("line", [b"Keep-Alive: timeout=1", b"Keep-Alive: timeout=0"])
async def test_a_keep_alive_that_leaves_no_time_closes_at_once(world, line):
    seconds, _ = await lifetime(world, line)
    assert seconds < 1


@pytest.mark.parametrize(
    "value", [b"timeout=-5, timeout=x, ,=", *[b"timeout=%d" % number for number in ((1 << 63) - 1, 1 << 63, 10**40)]]
)
async def test_a_keep_alive_that_is_garbage_or_beyond_all_bounds_is_ignored(world, value):
    origin = await world.origin(answering(reply(b"", b"200 OK", b"Keep-Alive: " + value)))
    session = await world.session()
    for _ in range(2):
        assert fate(await session.exchange(get(origin))) == "POOLED"
    assert len(origin.peers) == 1


@pytest.mark.sidecar(requests_per_connection_max=2)
async def test_a_connection_serves_only_so_many_requests(world):
    origin = await world.origin(answering())
    session = await world.session()
    fates = [fate(await session.exchange(get(origin))) for _ in range(5)]
    assert fates == ["POOLED", "CLOSED", "POOLED", "CLOSED", "POOLED"]
    assert [len(peer.requests) for peer in origin.peers] == [2, 2, 1]
    assert await origin.peers[0].ended() == b""


@pytest.mark.sidecar(connection_age_milliseconds=300)
async def test_an_idle_connection_is_closed_at_its_age(world):
    seconds, _ = await lifetime(world)
    assert 0.2 < seconds < 3


@pytest.mark.sidecar(connection_age_milliseconds=150)
async def test_a_busy_connection_past_its_age_is_closed_behind_its_reply(world):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(get(origin, deadlines=pb.Deadlines(first_byte_ms=30_000)))
    peer = await origin.connection()
    await peer.head()
    clock = session.start(get(origin, deadlines=pb.Deadlines(first_byte_ms=400)))
    assert outcome(await clock.answer()) == "REPLY_TIMEOUT"  # so much time has passed now
    assert fate(await answered(stream, peer)) == "CLOSED"
    assert await peer.ended() == b""


@pytest.mark.sidecar(idle_per_key_max=2)
async def test_of_too_many_idle_connections_of_a_key_the_oldest_is_closed(world):
    origin = await world.origin()
    session = await world.session()
    peers = await idle(world, session, origin, 3)
    assert await peers[0].ended() == b""
    stream = session.start(get(origin))
    await peers[2].head()
    await answered(stream, peers[2])


@pytest.mark.sidecar(idle_max=2)
async def test_of_too_many_idle_connections_in_all_the_oldest_is_closed(world):
    origins = [await world.origin() for _ in range(3)]
    session = await world.session()
    peers = [(await idle(world, session, origin, 1))[0] for origin in origins]
    assert await peers[0].ended() == b""
    for origin, peer in zip(origins[1:], peers[1:]):
        stream = session.start(get(origin))
        await peer.head()
        await answered(stream, peer)


POISON = {
    "one byte": b"H",
    "a whole reply": reply(b"poison"),
    "408": b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0" + HEAD_END,
    "CRLF": b"\r\n",
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
async def test_bytes_on_an_idle_connection_condemn_it(world, poison):
    origin = await world.origin()
    session = await world.session()
    [peer] = await idle(world, session, origin, 1)
    await peer.send(poison)
    assert await peer.ended() == b""
    stream = session.start(get(origin, "/own"))
    fresh = await origin.connection()
    await fresh.head()
    answer = await answered(stream, fresh, b"own")
    assert answer.body == b"own" and not answer.reply.connection.reused


async def test_an_unasked_reply_behind_a_reply_never_reaches_the_next_request(world):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(get(origin))
    peer = await origin.connection()
    await peer.head()
    await peer.send(reply(b"first") + reply(b"poison"))
    assert (await stream.answer()).body == b"first"
    stream = session.start(get(origin))
    fresh = await origin.connection()
    await fresh.head()
    assert (await answered(stream, fresh, b"second")).body == b"second"
    assert len(peer.requests) == 1 and await peer.ended() == b""


@pytest.mark.parametrize("ending", ["FIN", "RST"])
async def test_an_idle_connection_that_the_upstream_ends_is_not_used_again(world, ending):
    origin = await world.origin()
    session = await world.session()
    before = len(world.sidecar.descriptors())
    [peer] = await idle(world, session, origin, 1)
    assert len(world.sidecar.descriptors()) == before + 1
    peer.close() if ending == "FIN" else peer.reset()
    await world.sidecar.settled(more=1)  # the session's
    stream = session.start(get(origin))
    fresh = await origin.connection()
    await fresh.head()
    answer = await answered(stream, fresh)
    assert [one.result for one in answer.end.attempts] == [pb.ATTEMPT_CONNECTED]


async def test_two_requests_never_share_a_connection_at_the_same_time(world):
    origin = await world.origin()
    session = await world.session()
    pairs = await together(session, origin, 20)
    assert len({id(peer) for _, peer in pairs}) == 20
    for number in reversed(range(20)):
        stream, peer = pairs[number]
        answer = await answered(stream, peer, b"%d" % number)
        assert answer.body == b"%d" % number
        assert peer.requests[0].target == b"/%d" % number
