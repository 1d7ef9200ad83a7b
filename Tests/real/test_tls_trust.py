# test_tls_trust.py: whose certificate is good, for which name, and what we show ourselves.
# Source: proto/outrigger.proto, Tls; issue "TLS"; RFC 9525 (names); RFC 7469 §2.4 (pins); RFC 6066 §8 and
# RFC 6960 (staples); SECURITY row 10.
import os
import ssl

import pytest
from origin import answering, reply
from outrigger import pb
from test_tls import V12, V13, refused
from tls import server_context
from world import attempts, https, outcome, until

ONCE = reply(b"x", b"200 OK", b"Connection: close")
ADDRESS = dict(verify_name="127.0.0.1")
FAILURE_ROWS = {
    "expired": ("expired", {}, ["expired"], "expired"),
    "not yet valid": ("future", {}, ["not yet valid"], "future"),
    "for another name": ("wrong_name", {}, ["name", "origin.test"], "wrong-name"),
    "signed by itself": ("self_signed", {}, ["self-signed", "self signed"], "self-signed"),
    "of an unknown issuer": ("untrusted", {}, ["issuer"], "Other issuer"),
    "for clients": ("wrong_usage", {}, ["purpose", "usage"], "wrong-usage"),
    "with a NUL behind the name": ("nul", {}, ["name", "origin.test"], "nul"),
    "with the name as its subject only": ("no_san", {}, ["name", "origin.test"], "origin.test"),
    "for an address, and the name as its subject": ("ip_only", {}, ["name", "origin.test"], "origin.test"),
    "for another address": ("wrong_name", ADDRESS, ["address", "127.0.0.1"], "wrong-name"),
    "for a name that is an address": ("wildcard", ADDRESS, ["address", "127.0.0.1"], "wildcard"),
    "for all names under it": ("wildcard", dict(verify_name="wild.test"), ["name", "wild.test"], "wildcard"),
    "for names one label deep": (
        "wildcard", dict(verify_name="a.b.wild.test"), ["name", "a.b.wild.test"], "wildcard"),
}  # fmt: skip


@pytest.mark.parametrize("name, fields, words, subject", FAILURE_ROWS.values(), ids=FAILURE_ROWS)
@pytest.mark.parametrize("high", [V12, V13], ids=["1.2", "1.3"])
async def test_a_certificate_is_refused(world, certificates, name, fields, words, subject, high):
    origin = await world.origin(answering(), tls=server_context(getattr(certificates, name), high=high))
    answer = await (await world.session()).exchange(https(origin, certificates, **fields))
    refused(answer, "TLS_VERIFY", *words)
    assert subject in answer.end.detail, "the certificate's subject is in the detail"
    assert not origin.requests


async def test_a_certificate_without_its_issuer_is_refused(world, certificates):
    context = server_context(certificates.good)
    context.load_cert_chain(certificates.good.alone, certificates.good.key)
    origin = await world.origin(answering(), tls=context)
    refused(await (await world.session()).exchange(https(origin, certificates)), "TLS_VERIFY", "issuer")


GOOD_ROWS = {
    "for its name": ("good", "origin.test", {}),
    "for its name in other case": ("good", "ORIGIN.test", {}),
    "for its second name": ("good", "peer.test", {}),
    "for its address": ("ip_only", "127.0.0.1", {}),
    "for its IPv6 address": ("good", "[::1]", {}),
    "for the name to verify, not the authority": ("good", "elsewhere.test", dict(verify_name="origin.test")),
    "for the server name, not the authority": ("good", "elsewhere.test", dict(server_name="origin.test")),
    "for the address to verify": ("ip_only", "origin.test", dict(verify_name="127.0.0.1")),
    "by a wildcard": ("wildcard", "a.wild.test", {}),
    "by a folder of trusted certificates": ("good", "origin.test", dict(trust=pb.TLS_TRUST_DIRECTORY)),
}  # fmt: skip


@pytest.mark.parametrize("name, authority, fields", GOOD_ROWS.values(), ids=GOOD_ROWS)
async def test_a_certificate_is_accepted(world, certificates, name, authority, fields):
    origin = await world.origin(answering(), tls=server_context(getattr(certificates, name)))
    if fields.get("trust") == pb.TLS_TRUST_DIRECTORY:
        fields = {**fields, "trust_path": certificates.directory}
    answer = await (await world.session()).exchange(
        https(origin, certificates, more=dict(authority=authority), **fields)
    )
    assert (outcome(answer), answer.body) == ("COMPLETE", b"/"), answer.end
    assert answer.reply.connection.tls.certificate_sha256 == getattr(certificates, name).sha256


async def test_trust_in_a_folder_of_others_is_none(world, certificates):
    origin = await world.origin(answering(), tls=server_context(certificates.good))
    fields = dict(trust=pb.TLS_TRUST_DIRECTORY, trust_path=certificates.other_directory)
    refused(
        await (await world.session()).exchange(https(origin, certificates, **fields)), "TLS_VERIFY", "issuer"
    )


@pytest.mark.parametrize("name", ["expired", "wrong_name", "self_signed", "untrusted"])
async def test_without_verification_every_certificate_is_taken_and_a_warning_logged(
    world, certificates, name
):
    origin = await world.origin(answering(), tls=server_context(getattr(certificates, name)))
    fields = dict(trust=pb.TLS_TRUST_NONE, trust_path="")
    answer = await (await world.session()).exchange(https(origin, certificates, **fields))
    assert (outcome(answer), answer.body) == ("COMPLETE", b"/"), answer.end
    assert answer.reply.connection.tls.certificate_sha256 == getattr(certificates, name).sha256
    await until(lambda: "warn" in world.sidecar.words().lower(), "a warning")


@pytest.mark.parametrize("trust", [pb.TLS_TRUST_DEFAULT, pb.TLS_TRUST_SYSTEM])
async def test_the_system_s_certificates_are_the_default_and_do_not_know_ours(world, certificates, trust):
    origin = await world.origin(answering(), tls=server_context(certificates.good))
    fields = dict(trust=trust, trust_path="")
    refused(
        await (await world.session()).exchange(https(origin, certificates, **fields)), "TLS_VERIFY", "issuer"
    )


async def test_the_system_s_certificates_are_where_openssl_has_them(world, certificates):
    """SSL_CERT_FILE of the environment names them; X509_get_default_cert_file_env(3)."""
    environment = {"SSL_CERT_FILE": certificates.file}
    world.sidecar = await world.start_sidecar(f"{world.folder}/other.sock", environment)
    origin = await world.origin(answering(), tls=server_context(certificates.good))
    answer = await (await world.session()).exchange(
        https(origin, certificates, trust=pb.TLS_TRUST_SYSTEM, trust_path="")
    )
    assert outcome(answer) == "COMPLETE", answer.end


UNUSABLE_ROWS = {
    "no such file of trust": dict(trust_path="/nowhere/trust.pem"),
    "no such folder of trust": dict(trust=pb.TLS_TRUST_DIRECTORY, trust_path="/nowhere/folder"),
    "trust that is no PEM": dict(trust_path="/etc/passwd"),
    "no such certificate": dict(certificate_path="/nowhere/certificate.pem"),
    "a certificate that is no PEM": dict(certificate_path="/etc/passwd"),
}


@pytest.mark.parametrize("fields", UNUSABLE_ROWS.values(), ids=UNUSABLE_ROWS)
async def test_a_file_that_cannot_be_used_fails_the_handshake_and_is_named(world, certificates, fields):
    origin = await world.origin(answering(), tls=server_context(certificates.good))
    answer = await (await world.session()).exchange(https(origin, certificates, **fields))
    if (
        fields.get("trust") == pb.TLS_TRUST_DIRECTORY
    ):  # a folder is looked into when a certificate is looked for
        assert outcome(answer) in ("TLS_HANDSHAKE", "TLS_VERIFY")
    else:
        assert outcome(answer) == "TLS_HANDSHAKE"
        assert (fields.get("trust_path") or fields["certificate_path"]) in answer.end.detail
    assert not origin.requests and not answer.end.request_started


@pytest.mark.parametrize("name", ["expired", "untrusted"])
async def test_an_address_whose_certificate_is_not_good_is_passed_over(world, certificates, name):
    bad = await world.origin(answering(), tls=server_context(getattr(certificates, name)))
    good = await world.origin(answering(), tls=server_context(certificates.good))
    answer = await (await world.session()).exchange(https([bad.endpoint, good.endpoint], certificates))
    assert (outcome(answer), attempts(answer)) == ("COMPLETE", ["TLS_FAILED", "CONNECTED"]), answer.end
    assert answer.reply.connection.endpoint_index == 1 and not bad.requests


# Pins


def pins_of(certificates, row):
    right, issuer = certificates.good.spki_sha256, certificates.authority.intermediate.spki_sha256
    return {"its key": [right], "its issuer's key": [issuer], "one of several": [bytes(32), right]}[row]


@pytest.mark.parametrize("row", ["its key", "its issuer's key", "one of several"])
async def test_a_pin_that_the_chain_holds_is_satisfied(world, certificates, row):
    origin = await world.origin(answering(ONCE), tls=server_context(certificates.good))
    session = await world.session()
    for resumed in False, True:
        answer = await session.exchange(https(origin, certificates, spki_sha256=pins_of(certificates, row)))
        assert outcome(answer) == "COMPLETE" and answer.reply.connection.tls.resumed == resumed, answer.end


async def test_a_pin_that_no_key_of_the_chain_has_is_refused(world, certificates):
    origin = await world.origin(answering(), tls=server_context(certificates.good))
    pins = [bytes(32), certificates.peer.spki_sha256]
    refused(
        await (await world.session()).exchange(https(origin, certificates, spki_sha256=pins)),
        "TLS_VERIFY",
        "pin",
    )


async def test_a_pin_does_not_stand_in_for_trust(world, certificates):
    origin = await world.origin(answering(), tls=server_context(certificates.untrusted))
    pins = [certificates.untrusted.spki_sha256]
    refused(
        await (await world.session()).exchange(https(origin, certificates, spki_sha256=pins)),
        "TLS_VERIFY",
        "issuer",
    )


# Staples


STAPLE_ROWS = {
    "missing": ("v13", ["staple", "ocsp"]),
    "missing in 1.2": ("v12", ["staple", "ocsp"]),
    "revoked": ("staple_revoked", ["revoked"]),
    "stale": ("staple_stale", ["expired", "stale", "old"]),
    "of another certificate": ("staple_of_another", ["staple", "ocsp"]),
    "signed by a stranger": ("staple_forged", ["sign", "verif"]),
}


@pytest.mark.parametrize("name, words", STAPLE_ROWS.values(), ids=STAPLE_ROWS)
async def test_a_staple_that_is_demanded_and_not_good_is_refused(
    world, secure_nginx, certificates, name, words
):
    session = await world.session()
    answer = await session.exchange(
        https([getattr(secure_nginx, name)], certificates, "/facts", require_staple=True)
    )
    refused(answer, "TLS_VERIFY", *words)


@pytest.mark.parametrize("high", [pb.TLS_VERSION_1_2, pb.TLS_VERSION_1_3])
async def test_a_good_staple_is_accepted_and_its_session_resumed(world, secure_nginx, certificates, high):
    session = await world.session()
    for resumed in False, True:
        message = https(
            [secure_nginx.staple_good], certificates, "/once", require_staple=True, version_max=high
        )
        answer = await session.exchange(message)
        assert outcome(answer) == "COMPLETE" and answer.reply.connection.tls.resumed == resumed, answer.end


async def test_without_demand_a_bad_staple_is_not_looked_at(world, secure_nginx, certificates):
    answer = await (await world.session()).exchange(
        https([secure_nginx.staple_revoked], certificates, "/facts")
    )
    assert outcome(answer) == "COMPLETE", answer.end


# Our own certificate


@pytest.mark.parametrize("name", ["mutual12", "mutual"])
@pytest.mark.parametrize("form", ["two files", "one file"])
async def test_a_certificate_is_shown(world, secure_nginx, certificates, name, form):
    client = certificates.client
    files = dict(certificate_path=str(client.both)) if form == "one file" else dict(
        certificate_path=str(client.path), key_path=str(client.key))  # fmt: skip
    answer = await (await world.session()).exchange(
        https([getattr(secure_nginx, name)], certificates, "/facts", **files)
    )
    assert (outcome(answer), answer.reply.status) == ("COMPLETE", 200), answer.end
    assert answer.body.decode().split("|")[-1] == "CN=client-a"


@pytest.mark.parametrize("shown", [None, "client_untrusted"], ids=["none", "a stranger's"])
@pytest.mark.parametrize("high", [V12, V13], ids=["1.2", "1.3"])
async def test_a_certificate_that_the_origin_does_not_accept_fails(world, certificates, shown, high):
    """In 1.3 the alert comes behind the handshake, when the request may be on its way."""
    context = server_context(certificates.good, clients=certificates.file, high=high)
    origin = await world.origin(answering(), tls=context)
    client = getattr(certificates, shown) if shown else None
    files = dict(certificate_path=str(client.path), key_path=str(client.key)) if client else {}
    answer = await (await world.session()).exchange(https(origin, certificates, **files))
    assert (
        outcome(answer) == "TLS_HANDSHAKE" if high == V12 else outcome(answer) in ("TLS_HANDSHAKE", "RESET")
    )
    words = ["unknown ca"] if shown else ["certificate required"] if high == V13 else ["handshake failure"]
    assert any(word in answer.end.detail.lower() for word in words), answer.end
    assert answer.reply is None and not origin.requests and len(origin.refused) >= 1


async def test_a_key_of_another_certificate_fails_before_anything_is_sent(world, certificates):
    origin = await world.origin(answering(), tls=server_context(certificates.good, clients=certificates.file))
    files = dict(certificate_path=str(certificates.client.path), key_path=str(certificates.client_b.key))
    answer = await (await world.session()).exchange(https(origin, certificates, **files))
    assert outcome(answer) == "TLS_HANDSHAKE" and "key" in answer.end.detail.lower()
    assert not any(origin.hellos)


# Files that change


async def settles(session, message, expected):
    """Asks until the outcome is that: when a changed file is noticed is the sidecar's to say, in seconds."""
    for _ in range(2000):
        answer = await session.exchange(message)
        if outcome(answer) == expected:
            return answer
    raise AssertionError(f"still {outcome(answer)}: {answer.end.detail}")


def replace(path, content):
    with open(f"{path}.new", "wb") as file:
        file.write(content)
    os.rename(f"{path}.new", path)


async def test_a_changed_file_of_trust_is_read_again_and_forgets_sessions(world, certificates):
    origin = await world.origin(answering(ONCE), tls=server_context(certificates.good))
    session = await world.session()
    path = certificates.copy(certificates.file)
    message = https(origin, certificates, trust_path=path)
    resumed = [(await session.exchange(message)).reply.connection.tls.resumed for _ in range(2)]
    assert resumed == [False, True]
    replace(path, open(certificates.other_file, "rb").read())
    answer = await settles(
        session, message, "TLS_VERIFY"
    )  # resuming would not have looked at the certificate
    assert "issuer" in answer.end.detail
    replace(path, open(certificates.file, "rb").read())
    assert not (await settles(session, message, "COMPLETE")).reply.connection.tls.resumed


async def test_a_changed_certificate_of_ours_is_read_again(world, certificates):
    origin = await world.origin(
        answering(ONCE), tls=server_context(certificates.good, clients=certificates.file)
    )
    session = await world.session()
    path = certificates.copy(certificates.client.both)
    message = https(origin, certificates, certificate_path=path)
    assert outcome(await session.exchange(message)) == "COMPLETE"
    replace(path, certificates.client_b.both.read_bytes())

    def shown():
        return origin.peers[-1].tls.getpeercert()["subject"][0][0][1]

    assert shown() == "client-a"
    for _ in range(2000):
        assert outcome(await session.exchange(message)) == "COMPLETE"
        if shown() == "client-b":
            break
    assert shown() == "client-b"


def test_the_rows_are_what_python_s_own_client_says_too(certificates):
    """That the certificates are as bad as their names say, by another verifier."""
    for name, fields, _, _ in FAILURE_ROWS.values():
        client = ssl.create_default_context(cafile=certificates.file)
        client.hostname_checks_common_name = False
        server = server_context(getattr(certificates, name))
        with pytest.raises(ssl.SSLCertVerificationError):
            shake(client, server, fields.get("verify_name", "origin.test"))
    shake(
        ssl.create_default_context(cafile=certificates.file), server_context(certificates.good), "origin.test"
    )


def shake(client, server, name):
    """A handshake in memory."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = client.wrap_bio(back, there, False, name), server.wrap_bio(there, back, True)
    for _ in range(4):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
