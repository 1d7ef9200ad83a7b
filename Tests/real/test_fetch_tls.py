# test_fetch_tls.py: `outrigger fetch` over TLS and through peers, as people use it.
# Source: issue "TLS", last line, and "CONNECT and routes"; curl(1) for the names of options.
import asyncio
import base64
import contextlib
import re

import pytest

from origin import Origin, answering, reply
from test_commands import DATA, PROTOCOL, TEMPORARY, UNAVAILABLE, USAGE, run
from chameleon import SIGNATURE
from test_tls import V12, V13
from tls import TlsOrigin, server_context
from tunnel import tunnels_to
from world import surroundings

URL = "https://origin.test/path?q"


@contextlib.asynccontextmanager
async def upstream(context=None, serve=None):
    origin = await (
        TlsOrigin(context, serve or answering()) if context else Origin(serve or answering())
    ).start()
    try:
        yield origin, f"127.0.0.1:{origin.endpoint.port}"
    finally:
        await origin.stop()


async def fetched(executable, context, *words, url=URL, serve=None, **more):
    async with upstream(context, serve) as (origin, address):
        return await run(executable, "fetch", url, "--address", address, *words, **more), origin


async def test_with_the_certificate_of_an_authority(executable, certificates):
    result, origin = await fetched(
        executable, server_context(certificates.good), "--cacert", certificates.file
    )
    assert (result.code, result.out, result.err) == (0, b"/path?q", ""), result
    assert origin.requests[0].line == b"GET /path?q HTTP/1.1" and origin.requests[0].values(b"host") == [
        b"origin.test"
    ]
    assert origin.hellos[0].server_name == "origin.test" and origin.hellos[0].alpn == ["http/1.1"]


async def test_with_a_folder_of_certificates(executable, certificates):
    result, _ = await fetched(
        executable, server_context(certificates.good), "--capath", certificates.directory
    )
    assert (result.code, result.out) == (0, b"/path?q"), result


async def test_with_the_system_s_certificates(executable, certificates):
    environment = {"SSL_CERT_FILE": certificates.file}
    result, _ = await fetched(executable, server_context(certificates.good), environment=environment)
    assert (result.code, result.out) == (0, b"/path?q"), result


async def test_an_address_in_the_url_is_enough(executable, certificates):
    async with upstream(server_context(certificates.ip_only)) as (origin, address):
        result = await run(executable, "fetch", f"https://{address}/x", "--cacert", certificates.file)
    assert (result.code, result.out) == (0, b"/x"), result
    assert origin.hellos[0].server_name is None


REFUSED_ROWS = {
    "not trusted": ("good", [], "issuer"),
    "expired": ("expired", ["--cacert", "FILE"], "expired"),
    "for another name": ("wrong_name", ["--cacert", "FILE"], "origin.test"),
    "for another name to verify": ("good", ["--cacert", "FILE", "--verify-name", "x.test"], "x.test"),
    "another key": (
        "good",
        ["--cacert", "FILE", "--pinnedpubkey", f"sha256//{base64.b64encode(bytes(32)).decode()}"],
        "pin",
    ),
    "no staple": ("good", ["--cacert", "FILE", "--cert-status"], "staple|ocsp"),
}


@pytest.mark.parametrize("name, words, expected", REFUSED_ROWS.values(), ids=REFUSED_ROWS)
async def test_a_certificate_that_is_not_good_exits_with_a_reason(
    executable, certificates, name, words, expected
):
    words = [certificates.file if word == "FILE" else word for word in words]
    result, origin = await fetched(executable, server_context(getattr(certificates, name)), *words)
    assert result.code in (UNAVAILABLE, PROTOCOL) and not result.out, result
    assert re.search(expected, result.err, re.I) and "TLS_VERIFY" in result.err, result
    assert not origin.requests


@pytest.mark.parametrize("word", ["--insecure", "-k"])
async def test_insecure_takes_anyone_and_warns(executable, certificates, word):
    result, _ = await fetched(executable, server_context(certificates.untrusted), word)
    assert (result.code, result.out) == (0, b"/path?q"), result


@pytest.mark.parametrize("form", ["two files", "one file"])
async def test_with_a_certificate_of_our_own(executable, certificates, form):
    context = server_context(certificates.good, clients=certificates.file)
    client = certificates.client
    words = ["--cert", client.both] if form == "one file" else ["--cert", client.path, "--key", client.key]
    result, origin = await fetched(executable, context, "--cacert", certificates.file, *words)
    assert (result.code, result.out) == (0, b"/path?q"), result
    assert origin.peers[0].tls.getpeercert()["subject"] == ((("commonName", "client-a"),),)


async def test_without_a_certificate_that_the_origin_wants(executable, certificates):
    context = server_context(certificates.good, clients=certificates.file)
    result, _ = await fetched(executable, context, "--cacert", certificates.file)
    assert result.code in (UNAVAILABLE, PROTOCOL) and "certificate required" in result.err.lower(), result


async def test_with_another_server_name(executable, certificates):
    words = ["--cacert", certificates.file, "--sni", "peer.test"]
    result, origin = await fetched(executable, server_context(certificates.good), *words)
    assert (result.code, origin.hellos[0].server_name) == (0, "peer.test"), result
    assert origin.requests[0].values(b"host") == [b"origin.test"]


async def test_with_another_name_to_verify(executable, certificates):
    words = ["--cacert", certificates.file, "--verify-name", "other.test"]
    result, origin = await fetched(executable, server_context(certificates.wrong_name), *words)
    assert (result.code, origin.hellos[0].server_name) == (0, "origin.test"), result


VERSION_ROWS = {
    "--tlsv1.3": (["--tlsv1.3"], [0x0304]),
    "--tlsv1.2": (["--tlsv1.2"], [0x0304, 0x0303]),
    "--tls-max 1.2": (["--tls-max", "1.2"], [0x0303]),
    "--tls-max 1.3": (["--tls-max", "1.3"], [0x0304, 0x0303]),
}


@pytest.mark.parametrize("words, versions", VERSION_ROWS.values(), ids=VERSION_ROWS)
async def test_versions(executable, certificates, words, versions):
    result, origin = await fetched(
        executable, server_context(certificates.good), "--cacert", certificates.file, *words
    )
    assert (result.code, origin.hellos[0].versions) == (0, versions), result


async def test_no_version_in_common(executable, certificates):
    context = server_context(certificates.good, low=V12, high=V12)
    result, _ = await fetched(executable, context, "--cacert", certificates.file, "--tlsv1.3")
    assert (
        result.code in (UNAVAILABLE, PROTOCOL)
        and "version" in result.err.lower()
        and "TLS_HANDSHAKE" in result.err
    ), result


async def test_ciphers(executable, certificates):
    words = ["--cacert", certificates.file, "--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384", "--tls-max", "1.2"]
    result, origin = await fetched(executable, server_context(certificates.good), *words)
    assert (
        result.code == 0
        and 0xC02C in origin.hellos[0].ciphers
        and len(set(origin.hellos[0].ciphers) - {0xFF}) == 1
    )
    words = ["--cacert", certificates.file, "--tls13-ciphers", "TLS_CHACHA20_POLY1305_SHA256", "--tlsv1.3"]
    result, origin = await fetched(executable, server_context(certificates.good), *words)
    assert result.code == 0 and set(origin.hellos[0].ciphers) - {0xFF} == {0x1303}, result


async def test_a_pin(executable, certificates):
    pin = "sha256//" + base64.b64encode(certificates.good.spki_sha256).decode()
    words = ["--cacert", certificates.file, "--pinnedpubkey", pin]
    result, _ = await fetched(executable, server_context(certificates.good), *words)
    assert (result.code, result.out) == (0, b"/path?q"), result


async def test_a_staple(executable, secure_nginx, certificates):
    address = f"127.0.0.1:{secure_nginx.staple_good.port}"
    words = ["--address", address, "--cacert", certificates.file, "--cert-status"]
    result = await run(executable, "fetch", "https://origin.test/1k", *words)
    assert (result.code, result.out) == (0, secure_nginx.contents["1k"]), result


@pytest.mark.parametrize("high, name", [(V12, "1.2"), (V13, "1.3")])
async def test_verbose_says_what_was_agreed_on(executable, certificates, high, name):
    context = server_context(certificates.good, high=high, alpn=["http/1.1"])
    result, _ = await fetched(executable, context, "--cacert", certificates.file, "-v")
    assert (result.code, result.out) == (0, b"/path?q"), result
    for word in f"TLS {name}|TLSv{name}", r"TLS_\w+", "http/1.1", certificates.good.sha256.hex()[:16]:
        assert re.search(word, result.err.replace(":", ""), re.I), (word, result)


async def test_through_a_running_sidecar_that_resumes(world, executable, certificates):
    origin = await world.origin(
        answering(reply(b"x", b"200 OK", b"Connection: close")), tls=server_context(certificates.good)
    )
    words = [
        "--address",
        f"127.0.0.1:{origin.endpoint.port}",
        "--socket",
        world.sidecar.path,
        "--cacert",
        certificates.file,
    ]
    results = [await run(executable, "fetch", URL, *words, "-v") for _ in range(2)]
    assert [one.code for one in results] == [0, 0] and origin.resumed == [False, True], results


async def test_a_handshake_that_stalls(executable):
    async def silent(peer):
        await peer.ended()

    async with upstream(serve=silent) as (_, address):
        result = await run(executable, "fetch", URL, "--address", address, "-k", "--connect-timeout", "0.3")
    assert result.code == TEMPORARY and result.err, result


# Peers


async def test_a_peer_over_tls(executable, certificates):
    words = ["--peer", "--peer-tls", "--peer-cacert", certificates.file]
    result, origin = await fetched(
        executable, server_context(certificates.peer), *words, url="http://origin.test/path?q"
    )
    assert result.code == 0 and origin.requests[0].line == b"GET http://origin.test/path?q HTTP/1.1", result


async def test_a_peer_over_tls_is_verified(executable, certificates):
    words = ["--peer", "--peer-tls", "--peer-cacert", certificates.file]
    result, origin = await fetched(
        executable, server_context(certificates.expired), *words, url="http://origin.test/"
    )
    assert result.code in (UNAVAILABLE, PROTOCOL) and "expired" in result.err and not origin.requests, result
    words = ["--peer", "--peer-tls", "--peer-insecure"]
    result, origin = await fetched(
        executable, server_context(certificates.expired), *words, url="http://origin.test/"
    )
    assert result.code == 0 and origin.requests, result


@pytest.mark.parametrize("outside", ["clear", "tls"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_tunnel(executable, certificates, scheme, outside):
    inner = server_context(certificates.good) if scheme == "https" else None
    outer = server_context(certificates.peer) if outside == "tls" else None
    words = [
        "--peer-tunnel",
        "--connect-header",
        "Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=",
        "-H",
        "X-A: b",
    ]
    words += ["--cacert", certificates.file] if inner else []
    words += ["--peer-tls", "--peer-cacert", certificates.file] if outer else []
    serve = tunnels_to(answering(), inner)
    result, peer = await fetched(executable, outer, *words, url=f"{scheme}://origin.test/path?q", serve=serve)
    assert (result.code, result.out) == (0, b"/path?q"), result
    [connection] = peer.peers
    assert connection.requests[0].target == b"origin.test:443" if inner else b"origin.test:80"
    assert connection.requests[0].values(b"proxy-authorization") == [b"Basic dXNlcjpzZWNyZXQ="]
    assert not connection.requests[0].values(b"x-a") and connection.inner.requests[0].values(b"x-a") == [b"b"]
    assert not connection.inner.requests[0].values(b"proxy-authorization")


async def test_a_tunnel_through_squid(world, executable, squid, certificates):
    origin = await world.origin(answering(), tls=server_context(certificates.good))
    words = [
        "--address",
        f"127.0.0.1:{squid.secure.port}",
        "--peer-tunnel",
        "--peer-tls",
        "--peer-cacert",
        certificates.file,
    ]
    url = f"https://origin.test:{origin.endpoint.port}/path?q"
    result = await run(executable, "fetch", url, *words, "--cacert", certificates.file)
    assert (result.code, result.out) == (0, b"/path?q"), result


async def test_a_tunnel_that_is_refused_shows_the_peer_s_reply(executable, squid):
    words = ["--address", f"127.0.0.1:{squid.guarded.port}", "--peer-tunnel", "-i"]
    result = await run(executable, "fetch", "https://origin.test/", *words)
    assert (
        result.code != 0 and b"HTTP/1.1 407" in result.out and b"Proxy-Authenticate: Basic" in result.out
    ), result
    assert "PEER_REFUSED" in result.err, result


@pytest.mark.parametrize("version, begin", [("v1", b"PROXY UNKNOWN\r\n"), ("v2", SIGNATURE + b"\x20\0\0\0")])
async def test_a_proxy_header(executable, version, begin):
    async def serve(peer):
        assert await peer.read(len(begin)) == begin
        await answering()(peer)

    result, _ = await fetched(
        executable, None, "--proxy-protocol", version, url="http://origin.test/x", serve=serve
    )
    assert (result.code, result.out) == (0, b"/x"), result


async def test_a_proxy_header_names_the_client(executable):
    async def serve(peer):
        peer.first = await peer.until(b"\r\n")
        await answering()(peer)

    words = ["--proxy-protocol", "v1", "--proxy-source", "192.0.2.7:4711"]
    result, origin = await fetched(executable, None, *words, url="http://origin.test/x", serve=serve)
    assert result.code == 0 and origin.peers[0].first.startswith(b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 ")


async def test_verbose_tells_of_each_hop(executable, certificates):
    words = ["--peer-tunnel", "--peer-tls", "--peer-cacert", certificates.file, "--cacert", certificates.file]
    serve = tunnels_to(answering(), server_context(certificates.good))
    result, _ = await fetched(executable, server_context(certificates.peer), *words, "-v", serve=serve)
    assert (result.code, result.out) == (0, b"/path?q"), result
    for name, one in ("peer", certificates.peer), ("origin", certificates.good):
        assert re.search(rf"TLS to the {name}: TLS 1.3, .*\n.*{one.sha256.hex()}", result.err), result
    assert re.search(r"CONNECTED at .*, took .*, the transport [\d.]+ (us|ms)", result.err), result


# The sidecar's configuration

NAMED = """
tls:
  good: {trust: {file: %s}}
routes:
  parent: {kind: peer, endpoints: ["%s"]}
"""


async def test_names_of_the_sidecar_s_configuration(executable, certificates, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the whole path may be longer than a Unix socket's can be
    async with upstream(server_context(certificates.good)) as (_, secure), upstream() as (peer, clear):
        (tmp_path / "c.yaml").write_text(NAMED % (certificates.file, clear))
        sidecar = await asyncio.create_subprocess_exec(
            executable,
            *["serve", "--config", "c.yaml", "--socket", "o.sock"],
            stderr=asyncio.subprocess.PIPE,
            env=surroundings(),
        )
        try:
            await asyncio.wait_for(sidecar.stderr.readline(), 10)
            words = ["--socket", "o.sock", "--address", secure]
            result = await run(executable, "fetch", URL, *words, "--tls-profile", "good")
            assert (result.code, result.out) == (0, b"/path?q"), result
            result = await run(executable, "fetch", "http://origin.test/x", *words[:2], "--route", "parent")
            assert result.code == 0 and peer.requests[0].line == b"GET http://origin.test/x HTTP/1.1", result
            for wrong in ["--tls-profile", "other"], ["--route", "other"]:
                result = await run(executable, "fetch", URL, *words, *wrong)
                assert result.code == DATA and "other" in result.err, result
        finally:
            sidecar.terminate()
            await sidecar.communicate()


# Usage

USAGE_ROWS = {
    "a version that does not exist": ["--tls-max", "1.1"],
    "a pin that is none": ["--pinnedpubkey", "sha256//AAAA"],
    "a pin of another digest": ["--pinnedpubkey", "md5//AAAA"],
    "a PROXY header of no version": ["--proxy-protocol", "v3"],
    "a CONNECT field that is none": ["--peer-tunnel", "--connect-header", "no colon"],
    "TLS to a peer without one": ["--peer-tls"],
    "two routes": ["--peer", "--peer-tunnel"],
    "two ways of trust": ["--insecure", "--cacert", "/dev/null"],
    "a name for nobody to verify": ["--insecure", "--verify-name", "x.test"],
    "a status of anyone": ["--insecure", "--cert-status"],
    "a key without a certificate": ["--key", "/dev/null"],
    "two least versions": ["--tlsv1.2", "--tlsv1.3"],
    "no version left": ["--tlsv1.3", "--tls-max", "1.2"],
    "ciphers of no version left": ["--tlsv1.3", "--ciphers", "ALL"],
    "an address for a server name": ["--sni", "127.0.0.1"],
    "no pin at all": ["--pinnedpubkey", ""],
    "TLS to the origin by a peer": ["--peer", "--sni", "x.test"],
    "a peer's trust without its TLS": ["--peer", "--peer-insecure"],
    "fields for no CONNECT": ["--peer", "--connect-header", "X-A: b"],
    "a source for no header": ["--proxy-source", "127.0.0.1:1"],
    "a source of another family": ["--proxy-protocol", "v2", "--proxy-source", "[::1]:1"],
    "a source that is no address": ["--proxy-protocol", "v2", "--proxy-source", "client:1"],
    "a profile without a configuration": ["--tls-profile", "x"],
    "a route without a configuration": ["--route", "x"],
    "a file that another process does not find": ["--socket", "/nowhere/socket", "--cacert", "ca.pem"],
}


@pytest.mark.parametrize("words", USAGE_ROWS.values(), ids=USAGE_ROWS)
async def test_wrong_usage(executable, words):
    result = await run(executable, "fetch", URL, "--address", "127.0.0.1:1", *words)
    assert result.code == USAGE and result.err and not result.out, result


@pytest.mark.parametrize("words", [["--cacert", "/dev/null"], ["--insecure"], ["--tlsv1.3"]])
async def test_words_about_tls_need_https(executable, words):
    result = await run(executable, "fetch", "http://127.0.0.1:1/", *words)
    assert result.code == USAGE and words[0] in result.err, result


@pytest.mark.parametrize("route", ["--peer", "--peer-tunnel"])
async def test_a_peer_s_address_is_not_the_url_s(executable, route):
    result = await run(executable, "fetch", "http://127.0.0.1:1/", route)
    assert result.code == USAGE and "--address" in result.err, result


async def test_a_file_that_is_not_there_is_named(executable, certificates):
    result, _ = await fetched(executable, server_context(certificates.good), "--cacert", "/nowhere/ca.pem")
    assert result.code != 0 and "/nowhere/ca.pem" in result.err and not result.out, result
