# test_workers.py: idle connections that one worker has and another needs. Sessions are shared out to the workers in turn.
# Source: DESIGN "Threads"; Sources/Engine/IdleMoves.swift.
import asyncio
import contextlib
import json
import ssl

import pytest

from origin import answering, reply
from outrigger import BODY, pb
from test_administration import got
from tls import server_context
from world import attempts, fate, get, https, outcome


@pytest.mark.sidecar(workers=4, idle_takeover_milliseconds=0)
async def test_an_idle_connection_goes_to_the_worker_that_needs_it(world):
    origin = await world.origin(answering())
    sessions = [await world.session() for _ in range(4)]
    for number in range(20):
        answer = await sessions[number % 4].exchange(get(origin, f"/{number}"))
        assert outcome(answer) == "COMPLETE" and fate(answer) == "POOLED"
        assert answer.reply.connection.reused == (number > 0)
    assert len(origin.peers) == 1


@pytest.mark.sidecar(workers=2, idle_takeover_milliseconds=86_400_000)
async def test_one_that_is_idle_for_an_instant_stays(world):
    origin = await world.origin(answering())
    for session in [await world.session() for _ in range(2)]:
        answer = await session.exchange(get(origin))
        assert not answer.reply.connection.reused and attempts(answer) == ["CONNECTED"]
    assert len(origin.peers) == 2


@pytest.mark.sidecar(workers=2, idle_takeover_milliseconds=0)
async def test_it_goes_with_its_tls(world, certificates):
    origin = await world.origin(answering(reply(b"x" * 100_000)), tls=server_context(certificates.good))
    sessions = [await world.session() for _ in range(2)]
    for number in range(6):
        answer = await sessions[number % 2].exchange(https(origin, certificates))
        assert outcome(answer) == "COMPLETE" and answer.body == b"x" * 100_000
    assert len(origin.peers) == 1


@pytest.mark.sidecar(workers=2, idle_takeover_milliseconds=0)
async def test_bytes_nobody_asked_for_are_not_taken_for_a_reply_at_the_new_worker(world):
    async def serve(peer):
        await peer.head()
        await peer.send(reply(b"first"))
        if peer.number == 0:
            await peer.send(reply(b"stray"))
        while True:
            await peer.head()
            await peer.send(reply(b"next"))

    origin = await world.origin(serve)
    first, second = [await world.session() for _ in range(2)]
    assert (await first.exchange(get(origin))).body == b"first"
    answer = await second.exchange(get(origin))
    assert outcome(answer) == "COMPLETE" and answer.body == b"first"
    assert len(origin.peers) == 2


async def at_rest(admin):
    """How many connections are idle; -1 while others are open too, are being dialed, or are on their way to another worker."""
    counts = json.loads(await got(admin, "/counts.json"))
    idle = counts["idle_connections"]
    return idle if idle == counts["connections"] == counts["dials_total"] else -1


@pytest.mark.parametrize("workers", [1, 2, 8])
async def test_many_workers_open_no_more_connections_than_one(world, workers):
    admin = f"{world.folder}/admin.sock"
    world.flags |= {"workers": workers, "idle_takeover_milliseconds": 0, "admin_socket": admin}
    sidecar = await world.start_sidecar(path=f"{world.folder}/workers.sock")
    world.sidecar = sidecar
    origin = await world.origin(answering())
    sessions = [await world.session() for _ in range(8)]
    held = 16
    for number in range(24):
        # One that is between two workers, or still being dialed, is at none of them.
        while await at_rest(admin) != len(origin.peers):
            await asyncio.sleep(0.002)  # no event tells of it
        session = sessions[number % 8]
        answers = await asyncio.gather(*(session.exchange(get(origin)) for _ in range(held)))
        assert {outcome(answer) for answer in answers} == {"COMPLETE"}
    assert len(origin.peers) <= held, len(origin.peers)


def pinned(request):
    request.pin.CopyFrom(pb.Pin(token=b"a", mode=pb.PIN_MAKE))
    return request


async def wanted_elsewhere(world, origin, request):
    """A pin that serves a reply at one worker while another waits for it. Returns both streams, and the upstream's peer."""
    first, second = [await world.session(instance_id=b"one") for _ in range(2)]
    made = first.start(request("/made"))
    peer = await origin.connection()
    await peer.head()
    await peer.send(reply(b""))
    assert fate(await made.answer()) == "PINNED"
    served = first.start(request("/served"))
    await peer.head()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 30000\r\n\r\n" + b"x" * 10_000)
    while (await served.receive()).type != BODY:
        pass
    waits = second.start(request("/waits"))
    # It has asked, and has been heard.
    for session in second, first, first:
        await world.barrier(session)
    return served, waits, peer


@pytest.mark.sidecar(workers=2)
async def test_bytes_behind_a_reply_condemn_a_pin_that_another_worker_waits_for(world):
    origin = await world.origin()
    served, waits, peer = await wanted_elsewhere(world, origin, lambda path: pinned(get(origin, path)))
    # One segment: what is behind the reply is read together with its end.
    await peer.send(b"x" * 20_000 + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nst")
    assert outcome(await served.answer()) == "COMPLETE"
    other = await origin.connection()
    await other.head()
    await other.send(reply(b"fresh"))
    answer = await waits.answer()
    assert outcome(answer) == "COMPLETE" and answer.body == b"fresh"
    assert [head.target for head in peer.requests] == [b"/made", b"/served"]


async def end_with_garbage(layer):
    layer.send_raw(layer.outgoing.read() + b"this is no record of TLS")


async def end_with_close_notify(layer):
    """And without FIN: nobody is told of it twice."""
    with contextlib.suppress(ssl.SSLWantReadError):
        layer.tls.unwrap()
    layer.send_raw(layer.outgoing.read())


@pytest.mark.parametrize("ending", [end_with_garbage, end_with_close_notify])
@pytest.mark.sidecar(workers=2)
async def test_a_pin_whose_tls_ends_behind_a_reply_is_lost_to_a_worker_that_waits(world, certificates, ending):
    origin = await world.origin(tls=server_context(certificates.good))
    served, waits, peer = await wanted_elsewhere(
        world, origin, lambda path: pinned(https(origin, certificates, path))
    )
    # One segment: what is behind the reply is read together with its end.
    peer.tls.write(b"x" * 20_000)
    await ending(peer.layer)
    assert outcome(await served.answer()) == "COMPLETE"
    other = await origin.connection()
    await other.head()
    await other.send(reply(b"fresh"))
    answer = await waits.answer()
    assert outcome(answer) == "COMPLETE" and answer.body == b"fresh"
