# test_commands.py: the commands of the executable as people use them: output, exit codes, help.
# Source: issue "Commands"; sysexits.h; curl(1) for the habits of fetch.
import asyncio
import contextlib
import json
import os
import re

import pytest

from origin import HEAD_END, Blackhole, Origin, answering, reply
from world import surroundings

USAGE, DATA, NO_INPUT, UNAVAILABLE, CANNOT_CREATE, IO, TEMPORARY, PROTOCOL = 64, 65, 66, 69, 73, 74, 75, 76
HTTP_ERROR = 22


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err.decode()

    def __repr__(self):
        return f"exit {self.code}\n{self.out[:2000]}\n{self.err[:2000]}"


async def run(executable, *words, stdin=None, seconds=30, environment=None):
    process = await asyncio.create_subprocess_exec(
        executable,
        *[str(word) for word in words],
        stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=surroundings(environment),
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(stdin), seconds)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return Result(process.returncode, out, err)


@contextlib.asynccontextmanager
async def upstream(serve=None, **where):
    origin = await Origin(serve).start(**where)
    try:
        yield origin, f"127.0.0.1:{origin.endpoint.port}"
    finally:
        await origin.stop()


async def fetched(executable, serve, *words, url="http://origin.test/path?q", **more):
    async with upstream(serve) as (origin, address):
        return await run(executable, "fetch", url, "--address", address, *words, **more), origin


# help, version, usage


async def test_version_prints_a_version(executable):
    result = await run(executable, "--version")
    assert result.code == 0 and re.fullmatch(rb"\d+\.\d+\.\d+\S*\n", result.out), result


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"]])
async def test_help_names_every_command(executable, words):
    result = await run(executable, *words)
    assert result.code == 0, result
    for command in b"serve", b"check", b"fetch", b"demo", b"bench":
        assert command in result.out


@pytest.mark.parametrize("command", ["serve", "check", "fetch", "demo", "bench"])
async def test_each_command_has_help_with_its_exit_codes(executable, command):
    result = await run(executable, command, "--help")
    assert result.code == 0 and b"USAGE: outrigger " + command.encode() in result.out, result
    assert b"Exit codes:" in result.out


USAGE_ROWS = {
    "no such command": ["frobnicate"],
    "no such option": ["serve", "--frobnicate"],
    "serve without a socket": ["serve"],
    "serve with an empty socket": ["serve", "--socket", ""],
    "serve with a path too long": ["serve", "--socket", "/" + "x" * 107],
    "a user that is none": ["serve", "--socket", "/nowhere/x", "--allow-uid", "-1"],
    "limits that contradict": ["serve", "--socket", "/nowhere/x", "--session-output-bytes-max", "65536"],
    "check of nothing": ["check"],
    "check of a file and of none": ["check", "x", "--print-default"],
    "no workers": ["serve", "--socket", "/nowhere/x", "--workers", "0"],
    "a limit that is no number": ["serve", "--socket", "/nowhere/x", "--idle-max", "many"],
    "a limit out of range": ["serve", "--socket", "/nowhere/x", "--frame-payload-bytes-max", "1048577"],
    "fetch without a URL": ["fetch"],
    "fetch of no URL": ["fetch", "", "--address", "127.0.0.1:1"],
    "fetch of another scheme": ["fetch", "ftp://a/", "--address", "127.0.0.1:1"],
    "fetch of a name without an address": ["fetch", "http://origin.test/"],
    "an address without a port": ["fetch", "http://a/", "--address", "127.0.0.1"],
    "a name for an address": ["fetch", "http://a/", "--address", "localhost:80"],
    "a group of no configuration": ["fetch", "http://a/", "--group", "g"],
    "a group and an address": ["fetch", "http://a/", "--group", "g", "--config", "x", "--address", "127.0.0.1:1"],
    "a configuration for another's sidecar": ["fetch", "http://1.2.3.4/", "--config", "x", "--socket", "y"],
    "bench with nothing outstanding": ["bench", "--outstanding", "0"],
}


@pytest.mark.parametrize("words", USAGE_ROWS.values(), ids=USAGE_ROWS)
async def test_wrong_usage_exits_64_and_says_why(executable, words):
    result = await run(executable, *words)
    assert result.code == USAGE and result.err and not result.out, result


# fetch


async def test_fetch_prints_the_body_and_nothing_else(executable):
    result, origin = await fetched(executable, answering(reply(b"some \x00 bytes\xff")))
    assert (result.code, result.out, result.err) == (0, b"some \x00 bytes\xff", ""), result
    assert origin.requests[0].line == b"GET /path?q HTTP/1.1"
    assert origin.requests[0].values(b"host") == [b"origin.test"]


async def test_fetch_takes_an_address_in_the_url(executable):
    async with upstream(answering()) as (_, address):
        result = await run(executable, "fetch", f"http://{address}/direct")
        assert (result.code, result.out) == (0, b"/direct"), result


async def test_fetch_goes_to_ipv6_and_unix_addresses(executable, tmp_path):
    async with upstream(answering(), host="::1") as (origin, _):
        result = await run(executable, "fetch", "http://a/six", "--address", f"[::1]:{origin.endpoint.port}")
        assert (result.code, result.out) == (0, b"/six"), result
    os.chdir(tmp_path)  # the whole path may be longer than a Unix socket's can be
    async with upstream(answering(), path="./o.sock"):
        result = await run(executable, "fetch", "http://a/unix", "--address", "unix:o.sock")
        assert (result.code, result.out) == (0, b"/unix"), result


async def test_fetch_tries_one_address_after_the_other(executable):
    async with upstream(answering()) as (_, address):
        words = ["--address", "127.0.0.1:1", "--address", address]
        result = await run(executable, "fetch", "http://a/second", *words)
        assert (result.code, result.out) == (0, b"/second"), result


async def test_fetch_sends_method_header_and_data_as_curl_does(executable):
    words = ["-X", "PUT", "-H", "X-One: 1", "-H", "X-Two:2", "-d", "a=b", "-d", "c=d"]
    result, origin = await fetched(executable, answering(reply(b"ok")), *words)
    assert (result.code, result.out) == (0, b"ok"), result
    head = origin.requests[0]
    assert head.method == b"PUT" and head.values(b"x-one") == [b"1"] and head.values(b"x-two") == [b"2"]
    assert bytes(origin.peers[0].received).endswith(b"\r\n\r\na=b&c=d")


async def test_fetch_posts_when_there_is_data(executable):
    _, origin = await fetched(executable, answering(reply(b"ok")), "-d", "x")
    assert origin.requests[0].method == b"POST"


async def test_fetch_sends_a_file_or_its_standard_input(executable, tmp_path):
    body = os.urandom(1_000_000)
    (tmp_path / "file").write_bytes(body)
    result, origin = await fetched(executable, answering(reply(b"ok")), "--data-file", tmp_path / "file")
    assert result.code == 0 and origin.requests[0].values(b"content-length") == [b"1000000"], result
    assert bytes(origin.peers[0].received).endswith(body)
    result, origin = await fetched(executable, keeping_chunks, "--data-file", "-", stdin=body)
    assert result.code == 0 and origin.requests[0].values(b"transfer-encoding") == [b"chunked"], result
    assert origin.peers[0].chunks == body


async def test_fetch_joins_data_and_files(executable, tmp_path):
    (tmp_path / "file").write_bytes(b"b=\x00\r\n")
    words = ["-d", "a=1", "-d", f"@{tmp_path / 'file'}", "-d", "@-"]
    result, origin = await fetched(executable, answering(reply(b"ok")), *words, stdin=b"c=" + bytes(100_000))
    assert result.code == 0 and origin.requests[0].values(b"content-type"), result
    assert bytes(origin.peers[0].received).endswith(b"\r\n\r\na=1&b=\x00\r\n&c=" + bytes(100_000))


async def keeping_chunks(peer):
    await peer.head()
    peer.chunks, _ = await peer.chunked()
    await peer.send(reply(b"ok"))


async def test_fetch_includes_the_heads_when_asked(executable):
    wire = b"HTTP/1.1 103 Early Hints\r\nLink: </a>" + HEAD_END + reply(b"body", b"201 Made", b"X-A: b")
    result, _ = await fetched(executable, answering(wire), "-i")
    assert result.code == 0 and result.out.endswith(b"\r\n\r\nbody"), result
    assert (
        b"HTTP/1.1 103" in result.out
        and b"HTTP/1.1 201 Made\r\n" in result.out
        and b"X-A: b\r\n" in result.out
    )


async def test_fetch_asks_for_the_head_only(executable):
    result, origin = await fetched(
        executable, answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9" + HEAD_END), "-I"
    )
    assert result.code == 0 and origin.requests[0].method == b"HEAD", result
    assert b"Content-Length: 9" in result.out


async def test_fetch_shows_frames_connection_and_timings(executable):
    result, _ = await fetched(executable, answering(reply(b"body")), "-v")
    assert (result.code, result.out) == (0, b"body"), result
    for word in "session", "REQUEST", "REPLY", "END", "COMPLETE", "127.0.0.1":
        assert word in result.err, result
    assert re.search(r"\d+(\.\d+)? ?(us|µs|ms|s)\b", result.err), result


async def test_fetch_shows_an_upgrade(executable):
    async def serve(peer):
        await peer.head()
        await peer.send(b"HTTP/1.1 101 Yes\r\nUpgrade: echo\r\nConnection: upgrade" + HEAD_END)
        await peer.send(b"back: " + await peer.read(5))
        peer.close()

    result, _ = await fetched(executable, serve, "--upgrade", "echo", "-v", stdin=b"there")
    assert (result.code, result.out) == (0, b"back: there"), result
    assert "asks for an upgrade to echo" in result.err and "* upgraded to echo" in result.err, result


async def test_fetch_writes_to_a_file(executable, tmp_path):
    result, _ = await fetched(executable, answering(reply(b"body")), "-o", tmp_path / "out")
    assert (result.code, result.out) == (0, b"") and (tmp_path / "out").read_bytes() == b"body", result


async def test_fetch_through_a_running_sidecar(world, executable):
    origin = await world.origin(answering())
    words = ["--address", f"127.0.0.1:{origin.endpoint.port}", "--socket", world.sidecar.path]
    for number in range(3):
        result = await run(executable, "fetch", f"http://a/{number}", *words)
        assert (result.code, result.out) == (0, b"/%d" % number), result
    assert len(origin.peers) == 1, "the sidecar keeps the connection from one command to the next"


async def test_fetch_asks_a_peer_in_absolute_form(executable):
    _, origin = await fetched(executable, answering(), "--peer")
    assert origin.requests[0].line == b"GET http://origin.test/path?q HTTP/1.1"


async def test_fetch_passes_a_large_body_whole(executable):
    body = bytes(range(256)) * 65_536
    result, _ = await fetched(executable, answering(reply(body)))
    assert result.code == 0 and result.out == body


async def hangs(peer):
    await peer.head()
    await peer.ended()


async def resets(peer):
    await peer.head()
    peer.reset()


FETCH_ROWS = {
    "404 is a reply": (answering(reply(b"none", b"404 Not Found")), [], 0),
    "404 with --fail": (answering(reply(b"none", b"404 Not Found")), ["--fail"], HTTP_ERROR),
    "garbage": (answering(b"garbage\r\n\r\n"), [], PROTOCOL),
    "reset": (resets, [], PROTOCOL),
    "no reply in time": (hangs, ["--reply-timeout", "0.1"], TEMPORARY),
    "no end in time": (hangs, ["--max-time", "0.1"], TEMPORARY),
    "a bad header": (answering(), ["-H", "X: a\x01b"], DATA),
    "no such file to send": (answering(), ["--data-file", "/nowhere/file"], NO_INPUT),
    "an output that cannot be made": (answering(reply(b"x")), ["-o", "/nowhere/file"], CANNOT_CREATE),
    "an output that cannot be written": (answering(reply(b"x" * 100_000)), ["-o", "/dev/full"], IO),
    "no sidecar at the socket": (answering(), ["--socket", "/nowhere/socket"], UNAVAILABLE),
}


@pytest.mark.parametrize("serve, words, code", FETCH_ROWS.values(), ids=FETCH_ROWS)
async def test_the_exit_code_of_fetch_says_what_happened(executable, serve, words, code):
    result, _ = await fetched(executable, serve, *words)
    assert result.code == code, result
    assert result.err or code in (0, HTTP_ERROR), result


async def test_a_reply_that_is_cut_short_is_printed_and_fails(executable):
    async def cuts(peer):
        await peer.head()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10" + HEAD_END + b"half")
        peer.close()

    result, _ = await fetched(executable, cuts)
    assert (result.code, result.out) == (PROTOCOL, b"half"), result
    assert "TRUNCATED" in result.err or "cut short" in result.err


async def test_fetch_of_a_port_that_refuses_exits_69(executable):
    result = await run(executable, "fetch", "http://a/", "--address", "127.0.0.1:1")
    assert result.code == UNAVAILABLE and result.err, result


@pytest.mark.parametrize("words, speaks", [(["-s"], False), (["-sS"], True), (["-S"], True)])
async def test_fetch_is_silent_when_asked(executable, words, speaks):
    result = await run(executable, "fetch", "http://a/", "--address", "127.0.0.1:1", *words)
    assert result.code == UNAVAILABLE and bool(result.err) == speaks, result
    result, _ = await fetched(executable, answering(reply(b"", b"404 Not Found")), "-f", *words)
    assert result.code == HTTP_ERROR and bool(result.err) == speaks, result
    result = await run(executable, "fetch", "http://a/", *words)
    assert result.code == USAGE and result.err, "wrong usage is told in any case"


async def test_fetch_gives_up_connecting_in_time(executable):
    with Blackhole() as hole:
        address = f"127.0.0.1:{hole.endpoint.port}"
        result = await run(executable, "fetch", "http://a/", "--address", address, "--connect-timeout", "0.2")
    assert result.code == TEMPORARY and result.err, result


async def test_fetch_into_a_closed_pipe_ends(executable):
    async with upstream(answering(reply(bytes(50_000_000)))) as (_, address):
        command = f"'{executable}' fetch http://a/ --address {address} | head -c 10; echo ${{PIPESTATUS[0]}}"
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", command, stdout=asyncio.subprocess.PIPE, env=surroundings()
        )
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        assert out.startswith(bytes(10)) and out[10:].strip() != b"0"


# demo and bench


async def test_demo_shows_a_table_in_under_ten_seconds(executable):
    result = await run(executable, "demo", seconds=60)
    assert result.code == 0, result
    text = result.out.decode()
    for word in "COMPLETE", "COMPLETE_BY_EOF", "TRUNCATED", "BAD_REPLY", "CANCELLED", "CONNECT_REFUSED":
        assert word in text
    assert "\x1b" not in text, "no colours into a pipe"
    assert f"\n  {executable} bench " in text, "what is suggested can be typed as it stands"
    assert sum(int(count) for count in re.findall(r"^✓ .*?  +(\d+)  ", text, re.M)) >= 300


async def test_bench_measures_itself(executable):
    words = ["--requests", "2000", "--warmup", "0", "--outstanding", "16", "--sessions", "4", "--json"]
    result = await run(executable, "bench", *words)
    assert result.code == 0, result
    report = json.loads(result.out)
    assert 2000 in flat(report), report


def flat(tree):
    """Every number of a JSON value."""
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, list):
        return [number for part in tree for number in flat(part)]
    return [tree]


async def test_bench_prints_percentiles_and_cpu_per_request(executable):
    result = await run(executable, "bench", "--requests", "1000", "--warmup", "0")
    assert result.code == 0, result
    for word in "p50", "p99", "CPU":
        assert word in result.out.decode() + result.err


@pytest.mark.sidecar(idle_connection_milliseconds=1500)
@pytest.mark.parametrize("words", [["--path", "/64k"], ["--path", "/1k", "--sessions", "3"],
                                   ["-X", "PUT", "--path", "/upload/b", "--request-body-bytes", "5000"]],
                         ids=" ".join)  # fmt: skip
async def test_bench_loads_a_running_sidecar_and_a_real_origin(world, nginx, executable, words):
    where = ["--socket", world.sidecar.path, "--address", f"127.0.0.1:{nginx.port}"]
    result = await run(executable, "bench", *where, "--requests", "300", "--warmup", "0", *words)
    assert result.code == 0, result


async def test_bench_fails_when_exchanges_do(world, executable):
    origin = await world.origin(answering(reply(b"no", b"500 Oops")))
    where = ["--socket", world.sidecar.path, "--address", f"127.0.0.1:{origin.endpoint.port}"]
    result = await run(executable, "bench", *where, "--requests", "50", "--warmup", "0")
    assert result.code == 1, result


async def test_bench_without_a_sidecar_exits_69(executable):
    result = await run(executable, "bench", "--socket", "/nowhere/socket", "--requests", "1")
    assert result.code == UNAVAILABLE and result.err, result
