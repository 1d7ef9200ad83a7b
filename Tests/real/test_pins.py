# test_pins.py: connections pinned to a token, against origins that count and name them.
# Source: DESIGN "Pins are exclusive"; proto/outrigger.proto, messages Pin, PinEvent, Unpin.
import asyncio

import pytest

import outrigger
from origin import answering, reply
from outrigger import pb
from world import fate, get, outcome


def pinned(origin, target="/", mode=pb.PIN_AUTO, token=b"a", **more):
    return get(origin, target, pin=pb.Pin(token=token, mode=mode), **more)


async def made(session, origin, token=b"a", mode=pb.PIN_MAKE):
    """A pin of `token`, by an exchange that makes it."""
    answer = await session.exchange(pinned(origin, "/made", mode, token))
    assert (outcome(answer), fate(answer)) == ("COMPLETE", "PINNED") and answer.reply.connection.pinned
    event = await session.pins.get()
    assert (event.token, event.change, event.remote) == (token, pb.PIN_MADE, origin.endpoint)
    return answer


def targets(origin):
    """Targets asked for, by connection."""
    return [[head.target.decode() for head in peer.requests] for peer in origin.peers]


async def test_require_without_a_pin_is_lost_and_nothing_is_dialled(world):
    origin = await world.origin(answering())
    session = await world.session()
    answer = await session.exchange(pinned(origin, mode=pb.PIN_REQUIRE))
    assert outcome(answer) == "PIN_LOST" and not answer.end.request_started
    assert not origin.peers


async def test_require_with_a_pin_for_another_target_only_is_a_mismatch(world):
    origin, other = await world.origin(answering()), await world.origin(answering())
    session = await world.session()
    await made(session, origin)
    assert outcome(await session.exchange(pinned(other, mode=pb.PIN_REQUIRE))) == "PIN_MISMATCH"
    assert not other.peers


async def test_auto_without_a_pin_takes_any_connection_and_pins_nothing(world):
    origin = await world.origin(answering())
    session = await world.session()
    for _ in range(2):
        answer = await session.exchange(pinned(origin))
        assert fate(answer) == "POOLED" and not answer.reply.connection.pinned
    assert len(origin.peers) == 1


async def test_make_pins_an_idle_connection_and_prefer_a_fresh_one(world):
    origin = await world.origin(answering())
    session = await world.session()
    await session.exchange(get(origin, "/plain"))
    await made(session, origin, b"fresh", pb.PIN_PREFER)
    await made(session, origin, b"idle", pb.PIN_MAKE)
    assert targets(origin) == [["/plain", "/made"], ["/made"]]


@pytest.mark.parametrize("mode", pb.PinMode.values(), ids=pb.PinMode.Name)
async def test_every_mode_goes_to_the_pin_that_there_is(world, mode):
    origin = await world.origin(answering())
    session = await world.session()
    await made(session, origin)
    answer = await session.exchange(pinned(origin, "/again", mode))
    assert fate(answer) == "PINNED" and answer.reply.connection.requests == 2
    assert targets(origin) == [["/made", "/again"]]


async def test_a_pinned_connection_serves_its_token_only(world):
    origin = await world.origin(answering())
    session = await world.session()
    await made(session, origin)
    await session.exchange(get(origin, "/none"))
    await session.exchange(pinned(origin, "/other", token=b"b"))
    await session.exchange(pinned(origin, "/own"))
    assert targets(origin) == [["/made", "/own"], ["/none", "/other"]]


async def test_the_same_token_of_another_proxy_is_another_token(world):
    origin = await world.origin(answering())
    first, second = await world.session(instance_id=b"one"), await world.session(instance_id=b"two")
    await made(first, origin)
    for session in second, await world.session():
        assert outcome(await session.exchange(pinned(origin, mode=pb.PIN_REQUIRE))) == "PIN_LOST"


async def test_one_token_pins_several_targets(world):
    origins = [await world.origin(answering()) for _ in range(3)]
    session = await world.session()
    for origin in origins:
        await made(session, origin)
    for origin in origins:
        await session.exchange(pinned(origin, "/again", pb.PIN_REQUIRE))
        assert targets(origin) == [["/made", "/again"]]


async def test_a_pin_serves_one_stream_at_a_time_in_order(world):
    origin = await world.origin()
    session = await world.session()
    streams = [session.start(pinned(origin, f"/{number}", pb.PIN_MAKE)) for number in range(4)]
    peer = await origin.connection()
    for number, stream in enumerate(streams):
        assert (await peer.head()).target == b"/%d" % number
        await world.barrier(session)
        assert peer.pending() == b""
        await peer.send(reply(b"%d" % number))
        assert (await stream.answer()).body == b"%d" % number
    assert len(origin.peers) == 1


@pytest.mark.sidecar(pin_queue_length_max=1)
async def test_one_more_than_may_wait_is_busy(world):
    origin = await world.origin()
    session = await world.session()
    served, waits = (session.start(pinned(origin, path, pb.PIN_MAKE)) for path in ("/served", "/waits"))
    peer = await origin.connection()
    await peer.head()
    answer = await session.exchange(pinned(origin))
    assert outcome(answer) == "PIN_BUSY" and not answer.end.request_started
    for stream in served, waits:
        await peer.send(reply())
        assert outcome(await stream.answer()) == "COMPLETE"
    assert len(origin.peers) == 1


LIMITS = {
    "in all": {"pins_max": 1},
    "of a proxy": {"pins_per_proxy_max": 1},
    "of a token": {"pin_targets_per_token_max": 1},
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.sidecar(**flags)) for name, flags in LIMITS.items()]
)
async def test_one_pin_too_many_is_overloaded(world, name):
    origin, other = await world.origin(answering()), await world.origin(answering())
    session = await world.session()
    await made(session, origin)
    assert outcome(await session.exchange(pinned(other, mode=pb.PIN_MAKE))) == "OVERLOADED", name
    assert not other.peers


async def test_a_pin_that_the_origin_closes_between_requests_is_told_and_lost(world):
    origin = await world.origin(answering())
    session = await world.session()
    await made(session, origin)
    origin.peers[0].close()
    event = await session.pins.get()
    assert (event.token, event.change) == (b"a", pb.PIN_LOST) and event.detail
    assert outcome(await session.exchange(pinned(origin, mode=pb.PIN_REQUIRE))) == "PIN_LOST"


async def test_a_request_on_a_pin_is_never_sent_again_elsewhere(world):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(pinned(origin, mode=pb.PIN_MAKE))
    peer = await origin.connection()
    await peer.head()
    await peer.send(reply())
    await stream.answer()
    stream = session.start(pinned(origin, "/again", retry=pb.RETRY_REPLAYABLE))
    await peer.head()
    peer.reset()
    answer = await stream.answer()
    assert outcome(answer) in ("RESET", "PIN_LOST") and answer.end.request_started
    assert len(origin.peers) == 1


@pytest.mark.parametrize(
    "limit", [pytest.param(limit, marks=pytest.mark.sidecar(**{limit: 100}))
              for limit in ("pin_idle_milliseconds", "pin_age_milliseconds")])  # fmt: skip
async def test_a_pin_expires_at_its_idle_time_and_its_age(world, limit):
    origin = await world.origin(answering())
    session = await world.session()
    await made(session, origin)
    event = await session.pins.get()
    assert event.change == pb.PIN_EXPIRED and event.detail, limit
    assert await origin.peers[0].ended() == b""


def unpin(session, token=b"a"):
    session.send(outrigger.UNPIN, 0, pb.Unpin(token=token))


async def test_unpin_closes_an_idle_pin(world):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(pinned(origin, mode=pb.PIN_MAKE))
    peer = await origin.connection()
    await peer.head()
    await peer.send(reply())
    await stream.answer()
    unpin(session)
    assert await peer.ended() == b""
    assert outcome(await session.exchange(pinned(origin, mode=pb.PIN_REQUIRE))) == "PIN_LOST"


async def test_unpin_closes_a_busy_pin_behind_its_exchange_and_ends_those_that_wait(world):
    origin = await world.origin()
    session = await world.session()
    served = session.start(pinned(origin, mode=pb.PIN_MAKE))
    peer = await origin.connection()
    await peer.head()
    await peer.send(reply(b"whole")[:-3])
    assert (await served.receive()).type == outrigger.REPLY
    waits = session.start(pinned(origin))
    unpin(session)
    assert outcome(await waits.answer()) == "PIN_LOST"
    await peer.send(b"ole")
    answer = await served.answer()
    assert (outcome(answer), fate(answer), bytes(answer.body)) == ("COMPLETE", "CLOSED", b"whole")
    assert await peer.ended() == b""


async def leave(session):
    session.writer.close()
    await session.task


@pytest.mark.sidecar(workers=4)
async def test_a_proxy_that_comes_back_goes_on_over_its_pin_at_any_worker(world):
    origin = await world.origin(answering())
    session = await world.session(instance_id=b"one")
    await made(session, origin)
    for number in range(8):
        await leave(session)
        session = await world.session(instance_id=b"one")
        answer = await session.exchange(pinned(origin, f"/{number}", pb.PIN_REQUIRE))
        assert outcome(answer) == "COMPLETE" and answer.reply.connection.requests == number + 2
    assert len(origin.peers) == 1


@pytest.mark.sidecar(workers=4)
async def test_sessions_of_one_proxy_share_its_pin_over_all_workers(world):
    origin = await world.origin(answering())
    sessions = [await world.session(instance_id=b"one") for _ in range(8)]
    await made(sessions[0], origin)
    asked = (one.exchange(pinned(origin, "/x", pb.PIN_REQUIRE)) for one in sessions for _ in range(8))
    assert {outcome(answer) for answer in await asyncio.gather(*asked)} == {"COMPLETE"}
    assert len(origin.peers) == 1 and len(origin.requests) == 65


async def test_what_a_session_that_leaves_was_not_told_is_told_to_another(world):
    """The session goes and the pin's connection ends, which the sidecar finds in one turn as a rule."""
    origin = await world.origin(answering())
    first, second = [await world.session(instance_id=b"one") for _ in range(2)]
    await made(first, origin)
    await leave(first)
    origin.peers[0].close()
    event = await second.pins.get()
    assert (event.token, event.change) == (b"a", pb.PIN_LOST) and event.detail


@pytest.mark.sidecar(pin_grace_milliseconds=100)
async def test_a_proxy_that_comes_back_behind_the_grace_finds_nothing(world):
    origin = await world.origin(answering())
    session = await world.session(instance_id=b"one")
    await made(session, origin)
    await leave(session)
    await origin.tasks[0]  # it has read the end of the connection
    session = await world.session(instance_id=b"one")
    assert outcome(await session.exchange(pinned(origin, mode=pb.PIN_REQUIRE))) == "PIN_LOST"


async def test_without_an_instance_id_pins_end_with_their_session(world):
    origin = await world.origin(answering())
    session = await world.session()
    await made(session, origin)
    await leave(session)
    await origin.tasks[0]  # it has read the end of the connection


@pytest.mark.sidecar(workers=2)
async def test_an_unpin_that_races_with_a_takeover_leaves_the_connection_to_nobody(world):
    """Two sessions of one proxy are at two workers: the pin is on its way between them when it is unpinned, or about to be.

    Which of the two comes first is the machine's to say; what must not come of it is the same.
    """
    origin = await world.origin(answering())
    first, second = [await world.session(instance_id=b"one") for _ in range(2)]
    for number in range(300):
        token = b"client %d" % number

        def ask(session, name, mode):
            return session.start(get(origin, f"/{number}/{name}", pin=pb.Pin(token=token, mode=mode)))

        assert outcome(await ask(first, "first", pb.PIN_PREFER).answer()) == "COMPLETE"
        streams = [ask(second, "second", pb.PIN_REQUIRE)]
        await second.writer.drain()
        for _ in range(number % 3):
            await world.barrier(second)
        first.send(outrigger.UNPIN, 0, pb.Unpin(token=token))
        streams.append(ask(first, "third", pb.PIN_PREFER))
        ends = [outcome(await stream.answer()) for stream in streams]
        assert set(ends) <= {"COMPLETE", "PIN_LOST"}, ends
        first.send(outrigger.UNPIN, 0, pb.Unpin(token=token))
    for peer in origin.peers:
        targets = [head.target.decode() for head in peer.requests]
        assert len({target.split("/")[1] for target in targets}) == 1, targets
        assert not any(target.endswith("third") for target in targets[1:]), targets
