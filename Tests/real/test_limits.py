# test_limits.py: limits on connections, and the queue before them: first come first served, bounded, with a
# deadline. Source: DESIGN "The way of a request", step 4; issue "Connections".
import asyncio
import os
import socket
import time

import pytest

import outrigger
from origin import Blackhole, answering, reply
from outrigger import pb
from world import ask, attempts, fate, get, outcome


async def answered(stream, peer, text=b""):
    await peer.send(reply(text))
    answer = await stream.answer()
    assert outcome(answer) == "COMPLETE"
    return answer


@pytest.mark.sidecar(connections_per_endpoint_max=1)
async def test_requests_beyond_the_limit_of_an_endpoint_wait_first_come_first_served(world):
    origin = await world.origin()
    one, two = await world.session(), await world.session()
    streams = []
    for number in range(6):
        session = (one, two)[number % 2]
        streams.append(session.start(get(origin, f"/{number}")))
        await world.barrier(session)
    peer = await origin.connection()
    for number, stream in enumerate(streams):
        assert (await peer.head()).target == b"/%d" % number
        answer = await answered(stream, peer)
        assert answer.reply.connection.reused is (number > 0)
    assert len(origin.peers) == 1


@pytest.mark.sidecar(connections_per_endpoint_max=1)
async def test_the_limit_of_one_endpoint_does_not_hold_up_another(world):
    busy, other = await world.origin(), await world.origin(answering())
    session = await world.session()
    first = session.start(get(busy))
    waiting = session.start(get(busy, "/waits"))
    assert outcome(await session.exchange(get(other))) == "COMPLETE"
    peer = await busy.connection()
    for stream in first, waiting:
        await peer.head()
        await answered(stream, peer)


@pytest.mark.sidecar(connections_per_endpoint_max=1)
async def test_a_waiter_gets_a_connection_of_its_own_when_the_one_before_it_is_closed(world):
    origin = await world.origin()
    session = await world.session()
    first = session.start(get(origin))
    peer = await origin.connection()
    await peer.head()
    waiting = session.start(get(origin, "/waits"))
    await world.barrier(session)
    await peer.send(reply(b"", b"200 OK", b"Connection: close"))
    assert outcome(await first.answer()) == "COMPLETE"
    fresh = await origin.connection()
    assert (await fresh.head()).target == b"/waits"
    answer = await answered(waiting, fresh)
    assert attempts(answer) == ["CONNECTED"]


@pytest.mark.sidecar(connections_per_endpoint_max=1, queue_length_max=2)
async def test_a_full_queue_ends_overloaded_and_nothing_of_the_request_is_sent(world):
    origin = await world.origin()
    session = await world.session()
    streams = [session.start(get(origin, f"/{number}")) for number in range(4)]
    answer = await streams[3].answer()
    assert outcome(answer) == "OVERLOADED"
    assert answer.end.detail and answer.end.repeatable and not answer.end.request_started
    peer = await origin.connection()
    for stream in streams[:3]:
        await peer.head()
        await answered(stream, peer)
    assert [head.target for head in origin.requests] == [b"/0", b"/1", b"/2"]


@pytest.mark.sidecar(connections_per_endpoint_max=1, queue_milliseconds=60_000)
async def test_a_request_waits_in_the_queue_no_longer_than_its_deadline(world):
    origin = await world.origin()
    session = await world.session()
    first = session.start(get(origin, "/first"))
    peer = await origin.connection()
    await peer.head()
    patient = session.start(get(origin, "/patient"))
    hasty = session.start(get(origin, "/hasty", deadlines=pb.Deadlines(queue_ms=100)))
    answer = await hasty.answer()
    assert outcome(answer) == "QUEUE_TIMEOUT"
    assert 95_000 <= answer.end.timings.total_us < 5_000_000
    assert answer.end.detail and answer.end.repeatable and not answer.end.request_started
    await answered(first, peer)
    assert (await peer.head()).target == b"/patient"
    await answered(patient, peer)
    assert [head.target for head in origin.requests] == [b"/first", b"/patient"]


@pytest.mark.sidecar(connections_per_endpoint_max=1, queue_milliseconds=100)
async def test_the_deadline_of_the_queue_has_a_default(world):
    origin = await world.origin()
    session = await world.session()
    first = session.start(get(origin))
    peer = await origin.connection()
    await peer.head()
    assert outcome(await session.exchange(get(origin))) == "QUEUE_TIMEOUT"
    await answered(first, peer)


@pytest.mark.sidecar(connections_max=2)
async def test_at_the_limit_of_the_process_the_oldest_idle_connection_makes_room(world):
    origins = [await world.origin() for _ in range(3)]
    session = await world.session()
    peers = []
    for origin in origins[:2]:
        stream = session.start(get(origin))
        peers.append(await origin.connection())
        await peers[-1].head()
        await answered(stream, peers[-1])
    stream = session.start(get(origins[2]))
    assert await peers[0].ended() == b""
    third = await origins[2].connection()
    await third.head()
    waiting = [session.start(get(origins[1], "/a")), session.start(get(origins[0], "/b"))]
    await peers[1].head()
    await answered(waiting[0], peers[1])  # frees a place: idle, then closed for the one that waits
    fourth = await origins[0].connection()
    await fourth.head()
    await answered(waiting[1], fourth)
    await answered(stream, third)


async def test_a_waiter_takes_a_freed_connection_and_its_own_dial_is_kept_for_the_pool(world):
    session = await world.session()
    with Blackhole(filled=False) as door:
        first = session.start(get(door, "/first"))
        peer = await door.accept()
        await peer.head()
        door.fill()
        second = session.start(get(door, "/second"))  # its dial hangs
        await world.barrier(session)
        await peer.send(reply(b"1"))
        assert (await first.answer()).body == b"1"
        assert (await peer.head()).target == b"/second", "it does not wait for its dial"
        await peer.send(reply(b"2"))
        answer = await second.answer()
        assert (outcome(answer), answer.reply.connection.reused, answer.body) == ("COMPLETE", True, b"2")
        own = await door.accept()  # the dial gets through, with the next SYN
        for _ in range(2):  # the sidecar knows of it when it has been round its loop
            await world.barrier(session)
        streams = [session.start(get(door, f"/{number}")) for number in range(2)]
        heads = await asyncio.gather(peer.head(), own.head())
        assert {head.target for head in heads} == {b"/0", b"/1"}
        for one in peer, own:
            await one.send(reply())
        for stream in streams:
            answer = await stream.answer()
            assert (outcome(answer), attempts(answer), fate(answer)) == ("COMPLETE", ["REUSED"], "POOLED")
        for one in peer, own:
            one.close()


# Limits over several workers. Each session goes to the worker with the fewest, so four sessions are at four workers.


class Doorkeeper:
    """Counts connections as the kernel has them: one whose FIN has arrived is over, whoever has read it or not."""

    def __init__(self, world):
        self.world, self.open, self.most, self.origins = world, [], 0, []

    async def origin(self, serve):
        def accepted(peer):
            self.open = [other for other in self.open if not self.has_ended(other)] + [peer]
            self.most = max(self.most, len(self.open))

        origin = await self.world.origin(serve)
        plain = origin.accept

        def accept(reader, writer):
            plain(reader, writer)
            accepted(origin.peers[-1])

        origin.server.close()
        origin.accept = accept
        return await origin.start()

    @staticmethod
    def has_ended(peer):
        try:
            descriptor = os.dup(peer.socket.fileno())
        except OSError:
            return True  # closed on our side, which happens after its end only
        with socket.socket(fileno=descriptor) as twin:
            try:
                return twin.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
            except BlockingIOError:
                return False
            except ConnectionError:
                return True


def slow(seconds):
    """Answers each request after some time."""

    async def serve(peer):
        while True:
            await peer.head()
            await asyncio.sleep(seconds)
            await peer.send(reply())

    return serve


async def exchanges(session, origin, count, outstanding):
    """`count` requests, so many at once. Returns the times at which they ended."""
    ends, left = [], iter(range(count))

    async def one_after_the_other():
        for number in left:
            assert outcome(await session.exchange(get(origin, f"/{number}"))) == "COMPLETE"
            ends.append(time.monotonic())

    await asyncio.gather(*(one_after_the_other() for _ in range(outstanding)))
    return ends


@pytest.mark.sidecar(workers=4, connections_per_endpoint_max=3, queue_milliseconds=0)
async def test_the_limit_of_an_endpoint_holds_over_all_workers_and_each_gets_its_share(world):
    keeper = Doorkeeper(world)
    origin = await keeper.origin(slow(0.005))
    sessions = [await world.session() for _ in range(8)]
    began = time.monotonic()
    ends = await asyncio.gather(*(exchanges(session, origin, 60, 6) for session in sessions))
    seconds = time.monotonic() - began
    assert keeper.most == 3
    assert len(origin.requests) == 8 * 60
    # All ask for the same and begin together: when the first has all it wanted, the others have a fair part of it.
    first = min(times[-1] for times in ends)
    shares = [sum(end <= first for end in times) for times in ends]
    assert min(shares) >= 20, shares
    # One that has work is kept for its first 20 ms, so that each of the three places changes hands that often at most; one
    # that changed hands at each request would make 480.
    assert len(origin.peers) <= 3 * (seconds / 0.02 + 1), (len(origin.peers), seconds)


@pytest.mark.sidecar(
    workers=4, connections_per_endpoint_max=1, queue_milliseconds=0, idle_takeover_milliseconds=86_400_000
)
async def test_an_idle_connection_makes_room_for_another_worker(world):
    keeper = Doorkeeper(world)
    origin = await keeper.origin(slow(0))
    sessions = [await world.session() for _ in range(4)]
    for number in range(20):
        assert outcome(await sessions[number % 4].exchange(get(origin))) == "COMPLETE"
    assert (keeper.most, len(origin.peers)) == (1, 20)


@pytest.mark.sidecar(workers=4, connections_per_endpoint_max=1, queue_milliseconds=0)
async def test_a_worker_that_is_busy_all_the_time_gives_way_to_one_that_has_waited_longer(world):
    origin = await world.origin(slow(0.002))
    greedy, modest = await world.session(), await world.session()
    done = asyncio.Event()

    async def keep_busy():
        while not done.is_set():
            assert outcome(await greedy.exchange(get(origin, "/greedy"))) == "COMPLETE"

    crowd = [asyncio.create_task(keep_busy()) for _ in range(8)]
    while len(origin.requests) < 8:
        await asyncio.sleep(0.001)
    for number in range(5):
        before = len(origin.requests)
        assert outcome(await modest.exchange(get(origin, "/modest"))) == "COMPLETE"
        # Those that were before it, and what the greedy ones may still ask while their connection is fresh.
        assert len(origin.requests) - before <= 40
    done.set()
    await asyncio.gather(*crowd)


@pytest.mark.sidecar(workers=4, connections_max=3, queue_milliseconds=0)
async def test_the_limit_of_the_process_holds_over_all_workers(world):
    keeper = Doorkeeper(world)
    origins = [await keeper.origin(slow(0.005)) for _ in range(4)]
    sessions = [await world.session() for _ in range(8)]
    ends = await asyncio.gather(
        *(exchanges(session, origins[number % 4], 30, 4) for number, session in enumerate(sessions))
    )
    assert keeper.most == 3
    first = min(times[-1] for times in ends)
    shares = [sum(end <= first for end in times) for times in ends]
    assert min(shares) >= 10, shares


@pytest.mark.sidecar(workers=4, connections_per_endpoint_max=1, queue_length_max=2, queue_milliseconds=0)
async def test_the_length_of_the_queue_holds_over_all_workers(world):
    origin = await world.origin()
    sessions = [await world.session() for _ in range(4)]
    streams = []
    for number, session in enumerate(sessions):
        streams.append(session.start(get(origin, f"/{number}")))
        await world.barrier(session)
    assert outcome(await streams[3].answer()) == "OVERLOADED"
    for number, stream in enumerate(streams[:3]):
        peer = await origin.connection()
        assert (await peer.head()).target == b"/%d" % number, "the worker that waits longest comes first"
        await answered(stream, peer)
