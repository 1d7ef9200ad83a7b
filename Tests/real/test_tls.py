# test_tls.py: what a handshake agrees on, what the reply says about it, and how one fails.
# Source: proto/outrigger.proto, Tls and TlsFacts; issue "TLS"; RFC 8446; RFC 6066 §3 (SNI); RFC 7301 (ALPN).
import asyncio
import ssl

import pytest
from nginx import pattern
from origin import HEAD_END, answering, reply
from outrigger import pb
from s_server import s_server
from tls import server_context
from world import attempts, fate, get, https, outcome, secure

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
ONCE = reply(b"x", b"200 OK", b"Connection: close")


def refused(answer, expected, *words):
    """Nothing was sent, a connection was not to be had, and the detail says why."""
    assert outcome(answer) == expected, answer.end
    assert answer.reply is None and not answer.end.request_started and answer.end.repeatable
    assert attempts(answer)[-1:] == ["TLS_FAILED"] and fate(answer) in ("NONE", "CLOSED")
    detail = answer.end.detail.lower()
    assert detail and any(word in detail for word in words or [""]), answer.end.detail


# Facts


@pytest.mark.parametrize("name, version", [("v12", pb.TLS_VERSION_1_2), ("v13", pb.TLS_VERSION_1_3)])
async def test_the_reply_says_what_nginx_and_the_sidecar_agreed_on(
    world, secure_nginx, certificates, name, version
):
    session = await world.session()
    answer = await session.exchange(https([getattr(secure_nginx, name)], certificates, "/facts"))
    assert outcome(answer) == "COMPLETE", answer.end
    facts = answer.reply.connection.tls
    theirs = answer.body.decode().split("|")
    assert (facts.version, facts.alpn, facts.resumed) == (version, "http/1.1", False)
    assert theirs[2:] == ["http/1.1", "origin.test", ".", ""]
    assert facts.cipher.startswith("TLS_ECDHE_" if version == pb.TLS_VERSION_1_2 else "TLS_"), (
        "a standard name"
    )
    assert theirs[0] == {pb.TLS_VERSION_1_2: "TLSv1.2", pb.TLS_VERSION_1_3: "TLSv1.3"}[version]
    if version == pb.TLS_VERSION_1_3:
        assert facts.cipher == theirs[1]
    assert facts.certificate_sha256 == certificates.good.sha256
    assert not answer.reply.connection.HasField("peer_tls")


async def test_in_clear_text_there_are_no_facts_about_tls(world):
    origin = await world.origin(answering())
    answer = await (await world.session()).exchange(get(origin))
    assert not answer.reply.connection.HasField("tls") and not answer.reply.connection.HasField("peer_tls")


async def test_the_attempt_has_the_times_of_transport_and_handshake(world, certificates):
    origin = await world.origin(answering(), tls=server_context(certificates.good))
    session = await world.session()
    answer = await session.exchange(https(origin, certificates))
    [first] = answer.end.attempts
    assert attempts(answer) == ["CONNECTED"] and 0 < first.transport_us < first.duration_us
    answer = await session.exchange(https(origin, certificates))
    [second] = answer.end.attempts
    assert attempts(answer) == ["REUSED"] and second.transport_us == 0
    assert answer.reply.connection.reused and answer.reply.connection.tls.certificate_sha256


async def test_over_a_unix_socket_too(world, certificates):
    origin = await world.origin(answering(), unix=True, tls=server_context(certificates.good))
    answer = await (await world.session()).exchange(https(origin, certificates))
    assert (outcome(answer), answer.body) == ("COMPLETE", b"/")


# Versions, ciphers, ALPN, SNI

VERSION_ROWS = {
    "by default 1.2 and 1.3": ({}, {0x0304, 0x0303}),
    "1.3 at least": (dict(version_min=pb.TLS_VERSION_1_3), {0x0304}),
    "1.2 at most": (dict(version_max=pb.TLS_VERSION_1_2), {0x0303}),
    "1.2 only": (dict(version_min=pb.TLS_VERSION_1_2, version_max=pb.TLS_VERSION_1_2), {0x0303}),
    "1.3 only": (dict(version_min=pb.TLS_VERSION_1_3, version_max=pb.TLS_VERSION_1_3), {0x0304}),
}


@pytest.mark.parametrize("fields, versions", VERSION_ROWS.values(), ids=VERSION_ROWS)
async def test_versions_are_offered_as_the_request_says(world, certificates, fields, versions):
    origin = await world.origin(answering(), tls=server_context(certificates.good))
    answer = await (await world.session()).exchange(https(origin, certificates, **fields))
    assert outcome(answer) == "COMPLETE", answer.end
    assert set(origin.hellos[0].versions) == versions
    high = pb.TLS_VERSION_1_3 if 0x0304 in versions else pb.TLS_VERSION_1_2
    assert answer.reply.connection.tls.version == high


@pytest.mark.parametrize("fields, low, high", [(dict(version_min=pb.TLS_VERSION_1_3), V12, V12),
                                               (dict(version_max=pb.TLS_VERSION_1_2), V13, V13)])  # fmt: skip
async def test_no_version_in_common_fails_the_handshake(world, certificates, fields, low, high):
    origin = await world.origin(answering(), tls=server_context(certificates.good, low=low, high=high))
    answer = await (await world.session()).exchange(https(origin, certificates, **fields))
    refused(answer, "TLS_HANDSHAKE", "version")
    assert not origin.requests


async def test_a_minimum_above_the_maximum_is_refused(world, certificates):
    origin = await world.origin(answering(), tls=server_context(certificates.good))
    fields = dict(version_min=pb.TLS_VERSION_1_3, version_max=pb.TLS_VERSION_1_2)
    answer = await (await world.session()).exchange(https(origin, certificates, **fields))
    assert outcome(answer) in ("BAD_REQUEST", "TLS_HANDSHAKE") and answer.end.detail
    assert not origin.requests


CIPHER_ROWS = {
    "1.2": (dict(ciphers="ECDHE-ECDSA-CHACHA20-POLY1305", version_max=pb.TLS_VERSION_1_2),
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", 0xCCA9),
    "1.3": (dict(cipher_suites="TLS_CHACHA20_POLY1305_SHA256", version_min=pb.TLS_VERSION_1_3),
            "TLS_CHACHA20_POLY1305_SHA256", 0x1303),
}  # fmt: skip


@pytest.mark.parametrize("fields, name, number", CIPHER_ROWS.values(), ids=CIPHER_ROWS)
async def test_ciphers_are_offered_as_the_request_says(world, certificates, fields, name, number):
    origin = await world.origin(answering(), tls=server_context(certificates.good))
    answer = await (await world.session()).exchange(https(origin, certificates, **fields))
    assert outcome(answer) == "COMPLETE", answer.end
    assert answer.reply.connection.tls.cipher == name
    assert set(origin.hellos[0].ciphers) - {0x00FF} == {number}  # TLS_EMPTY_RENEGOTIATION_INFO_SCSV


async def test_no_cipher_in_common_fails_the_handshake(world, certificates):
    context = server_context(certificates.good, high=V12, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256")
    origin = await world.origin(answering(), tls=context)
    fields = dict(ciphers="ECDHE-ECDSA-AES256-GCM-SHA384")
    refused(
        await (await world.session()).exchange(https(origin, certificates, **fields)),
        "TLS_HANDSHAKE",
        "handshake",
    )


@pytest.mark.parametrize("fields", [dict(ciphers="NO-SUCH-CIPHER"), dict(cipher_suites="TLS_NO_SUCH_SUITE")])
async def test_ciphers_that_do_not_exist_are_refused_in_words(world, certificates, fields):
    origin = await world.origin(answering(), tls=server_context(certificates.good))
    answer = await (await world.session()).exchange(https(origin, certificates, **fields))
    assert outcome(answer) in ("TLS_HANDSHAKE", "BAD_REQUEST") and "NO" in answer.end.detail
    assert not any(origin.hellos) and not origin.requests


ALPN_ROWS = {
    "by default http/1.1": ({}, ["http/1.1"], "http/1.1"),
    "none that the origin knows": (dict(alpn=["acme-tls/1"]), ["acme-tls/1"], ""),
    "two, in order": (dict(alpn=["http/1.1", "http/1.0"]), ["http/1.1", "http/1.0"], "http/1.1"),
}


@pytest.mark.parametrize("fields, offered, agreed", ALPN_ROWS.values(), ids=ALPN_ROWS)
async def test_alpn_is_offered_as_the_request_says(world, certificates, fields, offered, agreed):
    context = server_context(certificates.good, alpn=["http/1.1"])
    origin = await world.origin(answering(), tls=context)
    answer = await (await world.session()).exchange(https(origin, certificates, **fields))
    assert outcome(answer) == "COMPLETE", answer.end
    assert origin.hellos[0].alpn == offered and answer.reply.connection.tls.alpn == agreed


SNI_ROWS = {
    "the host of the authority": ("origin.test", {}, "origin.test"),
    "without its port": ("origin.test:8443", {}, "origin.test"),
    "not for an IPv4 address": ("127.0.0.1:8443", {}, None),
    "not for an IPv6 address": ("[::1]:8443", {}, None),
    "the request's own": ("127.0.0.1", dict(server_name="origin.test"), "origin.test"),
    "another than the authority": ("origin.test", dict(server_name="peer.test"), "peer.test"),
    "another than the name to verify": (
        "origin.test",
        dict(server_name="x.test", verify_name="origin.test"),
        "x.test",
    ),
}


@pytest.mark.parametrize("authority, fields, sent", SNI_ROWS.values(), ids=SNI_ROWS)
async def test_the_server_name_that_is_sent_is(world, certificates, authority, fields, sent):
    origin = await world.origin(answering(), tls=server_context(certificates.good))
    more = dict(authority=authority)
    answer = await (await world.session()).exchange(https(origin, certificates, more=more, **fields))
    assert outcome(answer) == "COMPLETE", answer.end
    assert origin.hellos[0].server_name == sent
    assert origin.requests[0].values(b"host") == [authority.encode()], (
        "Host is the authority, whatever the SNI"
    )


S_SERVER_ROWS = {
    "1.2": (["-tls1_2"], pb.TLS_VERSION_1_2),
    "1.3": (["-tls1_3"], pb.TLS_VERSION_1_3),
    "a certificate of ours": (["-Verify", "3", "-verify_return_error", "-CAfile"], pb.TLS_VERSION_1_3),
    "ALPN": (["-alpn", "http/1.1"], pb.TLS_VERSION_1_3),
    "a staple": (["-status_file"], pb.TLS_VERSION_1_3),
}


@pytest.mark.parametrize("words, version", S_SERVER_ROWS.values(), ids=S_SERVER_ROWS)
async def test_openssl_s_server_as_the_origin(world, certificates, words, version):
    more = {"-CAfile": [certificates.file], "-status_file": [certificates.staple_good]}.get(words[-1], [])
    client = certificates.client
    fields = dict(certificate_path=str(client.path), key_path=str(client.key)) if "-Verify" in words else {}
    fields |= dict(require_staple=True) if "-status_file" in words else {}
    async with s_server(certificates.good, *words, *more) as server:
        session = await world.session()
        for number in 1, 2:
            stream = session.start(https([server.endpoint], certificates, f"/{number}", **fields))
            assert (await server.head()).target == b"/%d" % number
            await server.send(reply(b"hello"))
            answer = await stream.answer()
            assert (outcome(answer), answer.body) == ("COMPLETE", b"hello"), answer.end
            facts = answer.reply.connection
            assert (facts.reused, facts.tls.version) == (number == 2, version)
            assert facts.tls.alpn == ("http/1.1" if "-alpn" in words else "")


# Resumption


@pytest.mark.parametrize("high", [V12, V13], ids=["1.2", "1.3"])
async def test_the_next_connection_of_the_same_identity_resumes(world, certificates, high):
    origin = await world.origin(answering(ONCE), tls=server_context(certificates.good, high=high))
    session = await world.session()
    facts = [(await session.exchange(https(origin, certificates))).reply.connection.tls for _ in range(3)]
    assert [one.resumed for one in facts] == origin.resumed == [False, True, True]
    assert {one.certificate_sha256 for one in facts} == {certificates.good.sha256}
    assert len({(one.version, one.cipher, one.alpn) for one in facts}) == 1


@pytest.mark.parametrize("name", ["v12", "v13"])
async def test_nginx_sees_sessions_resumed(world, secure_nginx, certificates, name):
    session = await world.session()
    fields = dict(alpn=["http/1.1", "test"])  # an identity of its own: other tests use this nginx
    asks = [https([getattr(secure_nginx, name)], certificates, "/once", **fields) for _ in range(2)]
    answers = [await session.exchange(one) for one in asks]
    assert [bytes(one.body) for one in answers] == [b".", b"r"]
    assert [one.reply.connection.tls.resumed for one in answers] == [False, True]


async def test_without_tickets_nothing_is_resumed(world, certificates):
    origin = await world.origin(answering(ONCE), tls=server_context(certificates.good, tickets=0))
    session = await world.session()
    for _ in range(2):
        assert not (await session.exchange(https(origin, certificates))).reply.connection.tls.resumed
    assert origin.resumed == [False, False]


async def test_a_session_that_the_origin_no_longer_knows_is_a_full_handshake(world, certificates):
    origin = await world.origin(answering(ONCE), tls=server_context(certificates.good))
    session = await world.session()
    await session.exchange(https(origin, certificates))
    origin.context = server_context(certificates.good)  # other ticket keys
    answer = await session.exchange(https(origin, certificates))
    assert outcome(answer) == "COMPLETE" and not answer.reply.connection.tls.resumed
    assert [hello.offers_session for hello in origin.hellos] == [False, True]


async def test_a_ticket_is_offered_once_in_1_3(world, certificates):
    """RFC 8446 appendix C.4: a ticket that is used again lets an observer link the connections."""
    origin = await world.origin(tls=server_context(certificates.good, tickets=1))
    session = await world.session()
    stream = session.start(https(origin, certificates))
    peer = await origin.connection()
    await peer.head()
    await peer.send(ONCE)
    await stream.answer()
    streams = [session.start(https(origin, certificates)) for _ in range(2)]
    peers = [await origin.connection() for _ in streams]
    keys = [bytes(peer.hello.extensions.get(41, b"")) for peer in peers]
    for peer in peers:
        await peer.head()
        await peer.send(ONCE)
    for stream in streams:
        assert outcome(await stream.answer()) == "COMPLETE"
    identities = [key[4 : 4 + int.from_bytes(key[2:4], "big")] for key in keys if key]
    assert len(identities) == len(set(identities))


# How a handshake fails


async def closes(peer):
    await peer.reader.read(1)
    peer.close()


async def resets(peer):
    await peer.reader.read(1)
    peer.reset()


async def speaks_http(peer):
    await peer.reader.read(1)
    await peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0" + HEAD_END)
    await peer.ended()


async def sends_an_alert(peer):
    await peer.reader.read(1)
    await peer.send(bytes([21, 3, 3, 0, 2, 2, 112]))  # unrecognized_name
    await peer.ended()


async def sends_garbage(peer):
    await peer.reader.read(1)
    await peer.send(pattern(5000))
    await peer.ended()


async def sends_half_a_record(peer):
    await peer.reader.read(1)
    await peer.send(bytes([22, 3, 3, 1, 0, 2, 0, 0]))
    peer.close()


FAULTS = [closes, resets, speaks_http, sends_an_alert, sends_garbage, sends_half_a_record]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_an_upstream_that_does_not_speak_tls_fails_the_handshake(world, certificates, fault):
    origin = await world.origin(fault)
    answer = await (await world.session()).exchange(https(origin, certificates))
    refused(answer, "TLS_HANDSHAKE", *(["unrecognized name"] if fault is sends_an_alert else []))
    assert b"GET " not in b"".join(bytes(peer.received) for peer in origin.peers)


@pytest.mark.parametrize("said", [b"", bytes([22, 3, 3, 1, 0, 2, 0, 0])], ids=["silence", "half a record"])
async def test_a_handshake_that_stalls_is_a_connect_timeout(world, certificates, said):
    origin = await world.origin()
    session = await world.session()
    more = dict(deadlines=pb.Deadlines(connect_ms=300))
    stream = session.start(https(origin, certificates, more=more))
    peer = await origin.connection()
    await peer.send(said)
    answer = await stream.answer()
    assert (outcome(answer), attempts(answer)) == ("CONNECT_TIMEOUT", ["TIMEOUT"])
    assert not answer.end.request_started and answer.end.repeatable
    await peer.ended()


async def test_cancel_in_the_handshake_closes_the_connection(world, certificates):
    origin = await world.origin()
    stream = (await world.session()).start(https(origin, certificates))
    peer = await origin.connection()
    await peer.read(1)
    stream.cancel()
    answer = await stream.answer()
    assert outcome(answer) == "CANCELLED" and not answer.end.request_started
    await peer.ended()


async def test_many_handshakes_at_the_same_time(world, certificates):
    origin = await world.origin(answering(ONCE), tls=server_context(certificates.good))
    session = await world.session()
    answers = await asyncio.gather(*(session.exchange(https(origin, certificates)) for _ in range(40)))
    assert {outcome(one) for one in answers} == {"COMPLETE"} and len(origin.peers) == 40


# What is no request


BAD_ROWS = {
    "with scheme http": dict(scheme=pb.SCHEME_HTTP),
    "over a peer's route": dict(route=pb.ROUTE_PEER),
    "a profile that does not exist": dict(tls=pb.Tls(profile="no-such-profile")),
    "too long a profile": dict(tls=pb.Tls(profile="p" * 65)),
    "too long a server name": dict(tls=pb.Tls(server_name="n" * 256)),
    "too long a name to verify": dict(tls=pb.Tls(verify_name="n" * 256)),
    "too long a path of trust": dict(tls=pb.Tls(trust=pb.TLS_TRUST_FILE, trust_path="/" * 4097)),
    "too long a path of a certificate": dict(tls=pb.Tls(certificate_path="/" * 4097)),
    "too long a path of a key": dict(tls=pb.Tls(key_path="/" * 4097)),
    "too many ciphers": dict(tls=pb.Tls(ciphers="c" * 1025)),
    "too many suites": dict(tls=pb.Tls(cipher_suites="c" * 1025)),
    "nine protocols": dict(tls=pb.Tls(alpn=["x"] * 9)),
    "a protocol of 256 bytes": dict(tls=pb.Tls(alpn=["x" * 256])),
    "a protocol without a name": dict(tls=pb.Tls(alpn=[""])),
    "seventeen pins": dict(tls=pb.Tls(spki_sha256=[bytes(32)] * 17)),
    "a pin of 31 bytes": dict(tls=pb.Tls(spki_sha256=[bytes(31)])),
    "TLS to a peer without one": dict(hop=pb.Hop(tls=pb.Tls())),
    "a route that does not exist": dict(hop=pb.Hop(name="no-such-route")),
}


@pytest.mark.parametrize("fields", BAD_ROWS.values(), ids=BAD_ROWS)
async def test_tls_that_cannot_be_is_a_bad_request(world, certificates, fields):
    origin = await world.origin(answering(), tls=server_context(certificates.good))
    message = {"scheme": pb.SCHEME_HTTPS, "tls": secure(certificates), **fields}
    answer = await (await world.session()).exchange(get(origin, **message))
    assert outcome(answer) == "BAD_REQUEST" and answer.end.detail, answer.end
    assert not answer.end.attempts and not origin.hellos
