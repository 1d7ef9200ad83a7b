# test_administration.py: what an operator is told on the socket of --admin-socket, by curl's way and by `outrigger show`.
# Source: Sources/Sidecar/Administration.swift; issue "Pins": the state of every pin can be listed.
import asyncio
import contextlib
import hashlib
import json
import os
import subprocess

import disclosure
import outrigger
from origin import answering, reply
from outrigger import pb
from tls import server_context
from tunnel import ESTABLISHED
from world import get, https, surroundings, until


async def administered(world):
    """A sidecar with an administration socket takes the place of the world's first one."""
    world.admin = f"{world.folder}/admin.sock"
    return await world.start_sidecar(path=f"{world.folder}/administered.sock", admin_socket=world.admin)


async def session_of(world, sidecar):
    session = await outrigger.Session.open(sidecar.path)
    world.sessions.append(session)
    return session


async def asked(path, request):
    """Status, fields and body of the answer, up to the end of the connection."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return int(lines[0].split()[1]), dict(line.split(": ", 1) for line in lines[1:]), body.decode()


async def got(path, target):
    status, fields, body = await asked(path, f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert status == 200 and int(fields["Content-Length"]) == len(body.encode())
    return body


async def shown(world, *arguments, code=0):
    process = await asyncio.create_subprocess_exec(
        world.executable, "show", *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=surroundings()
    )
    out, err = await process.communicate()
    disclosure.watch.hear(out + err, "outrigger show")
    assert process.returncode == code, err
    return out.decode(), err.decode()


def digest(token):
    """As which a token is listed."""
    return hashlib.sha256(token).hexdigest()


async def test_every_pin_is_listed_with_its_state(world):
    sidecar = await administered(world)
    held = asyncio.Event()

    async def serve(peer):
        while True:
            head = await peer.head()
            if head.target == b"/held":
                await held.wait()
            await peer.send(reply())

    origin = await world.origin(serve)
    session = await session_of(world, sidecar)
    first, second = b"\x00\xff of a client", b"of another"
    for token in first, second:
        await session.exchange(get(origin, pin=pb.Pin(token=token, mode=pb.PIN_MAKE)))
    require = pb.Pin(token=second, mode=pb.PIN_REQUIRE)
    waiting = [asyncio.ensure_future(session.exchange(get(origin, "/held", pin=require))) for _ in range(2)]

    async def pins():
        return {pin["token_sha256"]: pin for pin in json.loads(await got(world.admin, "/pins.json"))}

    one, other = digest(first), digest(second)
    while not ((await pins())[other]["busy"] and (await pins())[other]["waiting"] == 1):
        pass
    listed = await pins()
    endpoint = f"127.0.0.1:{origin.endpoint.port}"
    assert listed[one] == {
        **{"token_sha256": one, "endpoint": endpoint, "busy": False, "waiting": 0, "uses": 1, "authentication": "none"},
        **{"route": "direct", "tls": False, "name": ""},
        "owner": listed[other]["owner"],
        "age_milliseconds": listed[one]["age_milliseconds"],
    }
    table = await got(world.admin, "/pins")
    assert table.split("\n")[0].split() == [
        *("OWNER", "TOKEN", "ENDPOINT", "ROUTE", "STATE", "WAITING", "AGE", "USES", "AUTHENTICATION")
    ]
    assert sorted(line.split()[1:6] for line in table.strip().split("\n")[1:]) == sorted(
        [[one[:16], endpoint, "direct", "idle", "0"], [other[:16], endpoint, "direct", "busy", "1"]]
    )
    assert (await shown(world, "pins", "--admin-socket", world.admin))[0].split("\n")[0] == table.split("\n")[0]
    held.set()
    await asyncio.gather(*waiting)
    text, _ = await shown(world, "pins", "--json", "--admin-socket", world.admin)
    assert {pin["token_sha256"]: pin["uses"] for pin in json.loads(text)} == {one: 1, other: 3}


async def test_pins_of_one_token_at_one_endpoint_are_told_apart_by_their_ways(world, certificates):
    """A target is more than its endpoint."""
    sidecar = await administered(world)

    async def serve(peer):
        while True:
            tunnels = (await peer.head()).method == b"CONNECT"
            await peer.send(ESTABLISHED if tunnels else reply())

    clear = await world.origin(serve)
    covert = await world.origin(serve, tls=server_context(certificates.good))
    session = await session_of(world, sidecar)
    pin = pb.Pin(token=b"of a client", mode=pb.PIN_MAKE)
    tunnels = [
        get(clear, authority=f"origin.test:{port}", route=pb.ROUTE_PEER_TUNNEL, pin=pin) for port in (81, 82)
    ]
    for form in get(clear, pin=pin), get(clear, route=pb.ROUTE_PEER, pin=pin), *tunnels:
        assert (await session.exchange(form)).reply.connection.pinned
    answer = await session.exchange(https(covert, certificates, more={"pin": pin}))
    assert answer.reply.connection.pinned
    listed = json.loads(await got(world.admin, "/pins.json"))
    assert sorted((pin["route"], pin["tls"], pin["name"]) for pin in listed) == [
        *(("direct", False, ""), ("direct", True, "origin.test"), ("peer", False, "")),
        *(("tunnel", False, "origin.test:81"), ("tunnel", False, "origin.test:82")),
    ]
    ways = [line.split()[3] for line in (await got(world.admin, "/pins")).strip().split("\n")[1:]]
    assert sorted(ways) == [
        *("direct", "direct+tls:origin.test", "peer", "tunnel:origin.test:81", "tunnel:origin.test:82")
    ]


async def test_counts_are_of_all_workers(world):
    world.flags["workers"] = 2
    sidecar = await administered(world)
    origin = await world.origin(answering())
    for _ in range(2):
        await (await session_of(world, sidecar)).exchange(get(origin))
    counts = json.loads((await shown(world, "counts", "--json", "--admin-socket", world.admin))[0])
    assert (counts["sessions"], counts["requests_total"], counts["pins"], counts["streams"]) == (2, 2, 0, 0)
    assert "requests_total    2\n" in await got(world.admin, "/counts")


async def test_a_path_in_json_is_quoted(world):
    sidecar = await administered(world)
    origin = await world.origin(answering(), unix=True)
    odd = f'{world.folder}/"\\odd\n'.encode()
    os.link(origin.endpoint.unix_path, odd)
    origin.endpoint.unix_path = odd
    session = await session_of(world, sidecar)
    await session.exchange(get(origin, pin=pb.Pin(token=b"t", mode=pb.PIN_MAKE)))
    (pin,) = json.loads(await got(world.admin, "/pins.json"))
    assert pin["endpoint"].startswith("unix:") and '"' in pin["endpoint"]


async def test_what_is_no_question_is_told_so(world):
    await administered(world)

    async def status(request):
        return (await asked(world.admin, request))[0]

    assert await status(b"GET /nothing HTTP/1.1\r\n\r\n") == 404
    assert await status(b"GET / HTTP/1.0\n\n") == 200
    assert await status(b"GET /pins?x=1 HTTP/1.1\r\n\r\n") == 200
    assert await status(b"POST /pins HTTP/1.1\r\n\r\n") == 405
    assert await status(b"\x16\x03\x01 hello\r\n\r\n") == 400
    assert await status(b"GET / HTTP/1.1\r\nX: " + b"a" * 9000) == 431
    head = await asked(world.admin, b"HEAD /counts HTTP/1.1\r\n\r\n")
    assert (head[0], head[2]) == (200, "") and int(head[1]["Content-Length"]) > 0


async def test_who_says_nothing_keeps_nobody_waiting_and_is_closed(world):
    await administered(world)
    silent = [await asyncio.open_unix_connection(world.admin) for _ in range(15)]
    assert await got(world.admin, "/counts")
    for reader, writer in silent:
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()


async def test_one_too_many_is_closed_at_once_and_later_there_is_room(world):
    await administered(world)
    silent = [await asyncio.open_unix_connection(world.admin) for _ in range(16)]
    reader, writer = await asyncio.open_unix_connection(world.admin)
    assert await asyncio.wait_for(reader.read(), 4) == b""
    writer.close()
    for reader, writer in silent:
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
    assert await got(world.admin, "/counts")


async def test_who_never_ends_is_cut_off(world):
    await administered(world)
    reader, writer = await asyncio.open_unix_connection(world.admin)
    writer.write(b"GET /counts HTTP/1.1\r\n\r\n" + b"a" * 10_000_000)
    with contextlib.suppress(ConnectionResetError):  # which may overtake the answer
        assert (await asyncio.wait_for(reader.read(), 4)).startswith(b"HTTP/1.1 200 ")
    writer.transport.abort()
    assert await got(world.admin, "/counts")


async def test_the_socket_goes_with_the_process(world):
    sidecar = await administered(world)
    assert os.path.exists(world.admin)
    sidecar.terminate()
    assert await sidecar.exited() == 0
    assert not os.path.exists(world.admin)
    _, words = await shown(world, "pins", "--admin-socket", world.admin, code=69)
    assert world.admin in words


async def test_a_socket_that_is_in_use_is_left_alone(world):
    await administered(world)
    command = [world.executable, "serve", "--socket", f"{world.folder}/third.sock", "--admin-socket", world.admin]
    process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE, env=surroundings())
    _, words = await process.communicate()
    assert process.returncode == 73 and b"--admin-socket" in words
    await until(lambda: not os.path.exists(f"{world.folder}/third.sock"), "the first socket is taken back")
    assert await got(world.admin, "/")
