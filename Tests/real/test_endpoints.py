# test_endpoints.py: where a request goes: addresses of all kinds, several of them, and what is said of each
# attempt. Source: RFC 8305 §5; issue "HTTP/1.1 to the upstream".
import socket
import tempfile

import pytest

from origin import Blackhole, answering, refusing_port, reply
from outrigger import endpoint, pb
from world import attempts, fate, get, outcome, until


@pytest.mark.parametrize("kind", ["127.0.0.1", "::1", "unix"])
async def test_ipv4_ipv6_and_unix_endpoints_are_served_and_pooled(world, kind):
    unix = kind == "unix"
    origin = await world.origin(answering(), "127.0.0.1" if unix else kind, unix)
    session = await world.session()
    for reused in False, True:
        answer = await session.exchange(get(origin))
        assert (outcome(answer), fate(answer)) == ("COMPLETE", "POOLED")
        assert answer.reply.connection.reused is reused
        assert answer.reply.connection.remote == origin.endpoint
        assert attempts(answer) == ["REUSED" if reused else "CONNECTED"]
        assert answer.reply.connection.HasField("local") is not unix
    assert len(origin.peers) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_port_that_refuses_is_reported_at_once(world, host):
    holder, refusing = refusing_port(host)
    session = await world.session()
    answer = await session.exchange(get([refusing]))
    assert (outcome(answer), attempts(answer), fate(answer)) == ("CONNECT_REFUSED", ["REFUSED"], "NONE")
    assert answer.end.detail and answer.end.repeatable and not answer.end.request_started
    holder.close()


async def test_a_unix_path_that_nobody_listens_on_is_refused(world):
    with tempfile.TemporaryDirectory() as folder:
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(f"{folder}/dead.sock")
        session = await world.session()
        answer = await session.exchange(get([endpoint(f"{folder}/dead.sock")]))
        assert (outcome(answer), attempts(answer)) == ("CONNECT_REFUSED", ["REFUSED"])
        answer = await session.exchange(get([endpoint(f"{folder}/none.sock")]))
        assert outcome(answer) in ("CONNECT_REFUSED", "CONNECT_UNREACHABLE")
        dead.close()


async def test_an_address_without_a_way_to_it_is_unreachable(world):
    session = await world.session()
    answer = await session.exchange(get([endpoint("255.255.255.255", 80)]))
    assert (outcome(answer), attempts(answer)) == ("CONNECT_UNREACHABLE", ["UNREACHABLE"])


async def test_endpoints_are_tried_in_order(world):
    first, second = await world.origin(answering()), await world.origin(answering())
    session = await world.session()
    for _ in range(3):
        answer = await session.exchange(get([first.endpoint, second.endpoint]))
        assert outcome(answer) == "COMPLETE" and answer.reply.connection.endpoint_index == 0
    assert (len(first.peers), len(second.peers)) == (1, 0)


async def test_an_endpoint_that_refuses_gives_way_to_the_next_at_once(world):
    holder, refusing = refusing_port()
    origin = await world.origin(answering())
    session = await world.session()
    answer = await session.exchange(get([refusing, refusing, origin.endpoint]))
    assert outcome(answer) == "COMPLETE"
    assert attempts(answer) == ["REFUSED", "REFUSED", "CONNECTED"]
    assert [one.endpoint_index for one in answer.end.attempts] == [0, 1, 2]
    assert answer.reply.connection.endpoint_index == 2
    assert answer.end.timings.connected_us < 200_000, "without the racing delay"
    holder.close()


async def test_when_all_endpoints_fail_the_end_lists_them_all(world):
    holder, refusing = refusing_port()
    session = await world.session()
    answer = await session.exchange(get([endpoint("255.255.255.255", 1), refusing]))
    assert outcome(answer) in ("CONNECT_REFUSED", "CONNECT_UNREACHABLE")
    assert attempts(answer) == ["UNREACHABLE", "REFUSED"]
    holder.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_the_next_address_races_one_that_does_not_answer_after_250_ms(world, host):
    origin = await world.origin(answering())
    session = await world.session()
    with Blackhole(host) as hole:
        answer = await session.exchange(get([hole.endpoint, origin.endpoint]))
    assert outcome(answer) == "COMPLETE"
    assert [one.endpoint_index for one in answer.end.attempts] == [0, 1]
    assert attempts(answer) == ["ABANDONED", "CONNECTED"]
    begin = answer.end.attempts[1].start_us
    assert 240_000 <= begin < 1_000_000, "250 ms after the first"
    assert answer.end.timings.connected_us >= begin


@pytest.mark.sidecar(racing_delay_milliseconds=20)
async def test_the_racing_delay_is_a_flag_and_every_address_gets_its_turn(world):
    origin = await world.origin(answering())
    session = await world.session()
    with Blackhole() as one, Blackhole() as two:
        answer = await session.exchange(get([one.endpoint, two.endpoint, origin.endpoint]))
    assert attempts(answer) == ["ABANDONED", "ABANDONED", "CONNECTED"]
    assert 35_000 <= answer.end.attempts[2].start_us < 400_000


async def test_a_unix_listener_with_a_full_queue_does_not_stop_the_next_endpoint(world):
    path = f"{world.folder}/full.sock"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as filler:
        listener.bind(path)
        listener.listen(0)
        filler.connect(path)
        origin = await world.origin(answering())
        session = await world.session()
        answer = await session.exchange(get([endpoint(path), origin.endpoint]))
        assert outcome(answer) == "COMPLETE"
        assert attempts(answer)[0] in ("REFUSED", "FAILED", "UNREACHABLE", "ABANDONED")
        assert attempts(answer)[1:] == ["CONNECTED"]


async def test_an_idle_connection_to_any_endpoint_saves_the_dial(world):
    holder, refusing = refusing_port()
    origin = await world.origin(answering())
    session = await world.session()
    assert outcome(await session.exchange(get(origin))) == "COMPLETE"
    answer = await session.exchange(get([origin.endpoint, refusing]))
    assert attempts(answer) == ["REUSED"]
    assert len(origin.peers) == 1
    holder.close()


async def test_the_local_address_is_bound_and_is_part_of_the_key(world):
    origin = await world.origin(answering())
    session = await world.session()
    addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.2", None]
    for address in addresses:
        more = {"local_address": pb.Endpoint(ip=endpoint(address, 0).ip)} if address else {}
        answer = await session.exchange(get(origin, **more))
        assert outcome(answer) == "COMPLETE"
        assert answer.reply.connection.local.ip == endpoint(address or "127.0.0.1").ip
    assert [peer.remote[0] for peer in origin.peers] == ["127.0.0.2", "127.0.0.3", "127.0.0.1"]
    assert [len(peer.requests) for peer in origin.peers] == [2, 1, 1]


async def test_a_local_address_that_is_not_ours_fails_the_attempt(world):
    origin = await world.origin(answering())
    session = await world.session()
    answer = await session.exchange(get(origin, local_address=pb.Endpoint(ip=endpoint("198.51.100.7").ip)))
    assert outcome(answer).startswith("CONNECT_")
    assert attempts(answer) in (["FAILED"], ["UNREACHABLE"])
    assert not origin.peers


async def test_a_local_address_of_the_other_family_is_refused_or_fails(world):
    origin = await world.origin(answering())
    session = await world.session()
    answer = await session.exchange(get(origin, local_address=pb.Endpoint(ip=endpoint("::1").ip)))
    assert outcome(answer) == "BAD_REQUEST" or outcome(answer).startswith("CONNECT_")
    assert not origin.peers


async def test_tcp_keepalive_is_on(world):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(get(origin))
    peer = await origin.connection()
    await peer.head()
    # Of both ends: another connection may have the same local port, to another place.
    ends = [f"0100007F:{port:04X}" for port in (peer.remote[1], origin.endpoint.port)]

    def timer():
        """Field "tr" of /proc/net/tcp: 02 is TCP keepalive, once everything sent is acknowledged."""
        with open("/proc/net/tcp") as table:
            return next(line.split()[5][:2] for line in table if line.split()[1:3] == ends)

    await until(lambda: timer() == "02", "TCP keepalive is on")
    await peer.send(reply())
    assert outcome(await stream.answer()) == "COMPLETE"


async def test_timings_and_attempts_are_in_order(world):
    origin = await world.origin(answering())
    session = await world.session()
    end = (await session.exchange(get(origin))).end
    times = end.timings
    assert 0 < times.connected_us <= times.sent_us <= times.first_byte_us <= times.total_us < 60_000_000
    assert end.attempts[0].start_us + end.attempts[0].duration_us <= times.total_us
