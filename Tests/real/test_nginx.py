# test_nginx.py: against a real nginx: what it sends is what arrives, over connections that are used again.
import asyncio
import os

import pytest

from nginx import SIZES
from outrigger import pb
from world import ask, attempts, fate, get, outcome

pytestmark = pytest.mark.sidecar(idle_connection_milliseconds=1500)


@pytest.mark.parametrize("way", ["endpoint", "endpoint6", "endpoint_unix"])
@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("place", ["", "/chunked", "/hint"])
async def test_files_of_all_sizes_arrive_whole_and_their_connection_is_reused(world, nginx, way, name, place):
    session = await world.session()
    for kept in False, True:
        answer = await session.exchange(get([getattr(nginx, way)], f"{place}/{name}"))
        assert (outcome(answer), answer.reply.status) == ("COMPLETE", 200)
        assert answer.body == nginx.contents[name]
        assert answer.reply.connection.reused is kept
        assert fate(answer) == "POOLED"
        chunked = pb.REPLY_BODY_CHUNKED
        assert answer.reply.body == (chunked if place == "/chunked" else pb.REPLY_BODY_LENGTH)


async def test_a_keep_alive_hint_of_two_seconds_leaves_one(world, nginx):
    session = await world.session()
    assert fate(await session.exchange(get([nginx.endpoint], "/hint/1k"))) == "POOLED"


async def test_a_server_that_closes_after_each_reply_is_dialed_each_time(world, nginx):
    session = await world.session()
    for _ in range(3):
        answer = await session.exchange(get([nginx.endpoint], "/once/1k"))
        assert (outcome(answer), fate(answer), attempts(answer)) == ("COMPLETE", "CLOSED", ["CONNECTED"])


REPLIES = {"/empty": 204, "/not-modified": 304, "/moved": 302, "/none": 404}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("target", REPLIES)
async def test_replies_with_and_without_bodies_leave_the_connection_usable(world, nginx, method, target):
    session = await world.session()
    for number in range(3):
        answer = await session.exchange(ask(method, [nginx.endpoint], target))
        assert (outcome(answer), answer.reply.status) == ("COMPLETE", REPLIES[target])
        assert answer.reply.connection.requests == number + 1
        assert bool(answer.body) == (method == "GET" and REPLIES[target] in (302, 404))


@pytest.mark.parametrize("size", [0, 1, 1000, 65_536, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_uploads_arrive_whole(world, nginx, size, chunked):
    body, name = os.urandom(size), f"{size}-{chunked}-{os.getpid()}"
    framing = dict(body=pb.BODY_CHUNKED) if chunked else dict(length=size)
    session = await world.session()
    for expected in 201, 204:
        answer = await session.exchange(ask("PUT", [nginx.endpoint], f"/upload/{name}", **framing), body)
        assert (outcome(answer), answer.reply.status, fate(answer)) == ("COMPLETE", expected, "POOLED")
        assert nginx.uploaded(name) == body
    answer = await session.exchange(ask("DELETE", [nginx.endpoint], f"/upload/{name}"))
    assert (outcome(answer), answer.reply.status, answer.reply.connection.requests) == ("COMPLETE", 204, 3)


async def test_an_upload_that_waits_for_100_continue_arrives(world, nginx):
    name = f"expect-{os.getpid()}"
    session = await world.session()
    message = ask("PUT", [nginx.endpoint], f"/upload/{name}", [(b"Expect", b"100-continue")], length=100_000)
    answer = await session.exchange(message, b"x" * 100_000)
    assert (outcome(answer), answer.reply.status) == ("COMPLETE", 201)
    assert [one.status for one in answer.interims] == [100]
    assert nginx.uploaded(name) == b"x" * 100_000


@pytest.mark.parametrize("expect", [[], [(b"Expect", b"100-continue")]], ids=["at once", "expecting"])
async def test_a_refusal_of_a_large_upload_is_delivered_whole(world, nginx, expect):
    session = await world.session()
    for _ in range(3):
        message = ask("PUT", [nginx.endpoint], "/small-only/x", expect, length=30_000_000)
        answer = await session.exchange(message, bytes(30_000_000))
        assert (outcome(answer), answer.reply.status) == ("COMPLETE", 413)
        assert b"413 Request Entity Too Large" in answer.body
        assert fate(answer) == "CLOSED"


async def test_a_thousand_exchanges_of_all_kinds_side_by_side_keep_apart(world, nginx):
    sessions = [await world.session() for _ in range(4)]

    async def one(number):
        session, kind = sessions[number % 4], number % 5
        if kind < 3:
            name = ("1k", "64k", "1k")[kind]
            answer = await session.exchange(get([nginx.endpoint], ("", "/chunked")[kind == 2] + f"/{name}"))
            assert answer.body == nginx.contents[name]
        elif kind == 3:
            answer = await session.exchange(ask("HEAD", [nginx.endpoint], "/8m"))
            assert not answer.body and answer.reply.status == 200
        else:
            name = f"many-{os.getpid()}-{number}"
            answer = await session.exchange(
                ask("PUT", [nginx.endpoint], f"/upload/{name}", length=2000), b"%04d" % number * 500
            )
            assert nginx.uploaded(name) == b"%04d" % number * 500
        assert outcome(answer) == "COMPLETE"

    waves = [range(begin, begin + 100) for begin in range(0, 1000, 100)]
    for wave in waves:
        await asyncio.gather(*(one(number) for number in wave))
