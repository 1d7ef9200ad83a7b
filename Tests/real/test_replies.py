# test_replies.py: what becomes of an upstream's bytes: the outcome, the body, and the connection. Every row
# runs whole, byte by byte, and with a byte behind it. Source: RFC 9112 §4 to §7, §9; DESIGN "Semantics".
from dataclasses import dataclass, field

import pytest

from origin import HEAD_END, answering, reply
from outrigger import pb
from world import ask, fate, get, outcome

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH_5 = OK + b"Content-Length: 5" + HEAD_END
CHUNKED = OK + b"Transfer-Encoding: chunked" + HEAD_END


@dataclass
class Row:
    """What the upstream sends, and what is expected of it."""

    wire: bytes
    outcome: str = "COMPLETE"
    body: bytes = b""
    fate: str = "POOLED"
    method: str = "GET"
    status: int = 200
    interims: list = field(default_factory=list)
    trailers: list = field(default_factory=list)
    closes: bool = False  # the upstream sends FIN behind the wire


WHOLE = {
    "length": Row(LENGTH_5 + b"hello", body=b"hello"),
    "length of 0": Row(reply()),
    "field names in any case": Row(OK + b"cOnTeNt-LeNgTh:2" + HEAD_END + b"hi", body=b"hi"),
    "white space around a value": Row(OK + b"Content-Length: \t 2 \t" + HEAD_END + b"hi", body=b"hi"),
    "no reason": Row(b"HTTP/1.1 200 \r\nContent-Length: 0" + HEAD_END),
    "204": Row(b"HTTP/1.1 204 No Content" + HEAD_END, status=204),
    "304 with a length": Row(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99" + HEAD_END, status=304),
    "304 with chunked": Row(b"HTTP/1.1 304 X\r\nTransfer-Encoding: chunked" + HEAD_END, status=304),
    "HEAD with a length": Row(LENGTH_5, method="HEAD"),
    "HEAD with chunked": Row(CHUNKED, method="HEAD"),
    "HEAD without framing": Row(OK + b"X: y" + HEAD_END, method="HEAD"),
    "status 999": Row(reply(b"x", b"999 ?"), body=b"x", status=999),
    "chunked": Row(CHUNKED + b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", body=b"hello!"),
    "chunked and empty": Row(CHUNKED + b"0\r\n\r\n"),
    "chunk sizes in hex of any case": Row(CHUNKED + b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
                                          body=b"01234567890123456789"),
    "chunk sizes with leading zeros": Row(CHUNKED + b"0005\r\nhello\r\n000\r\n\r\n", body=b"hello"),
    "chunk extensions": Row(CHUNKED + b'5;a=b;c="d;e"\r\nhello\r\n0;last\r\n\r\n', body=b"hello"),
    "trailers": Row(CHUNKED + b"2\r\nhi\r\n0\r\nX-Sum: 1\r\nx-b: 2\r\n\r\n", body=b"hi",
                    trailers=[(b"X-Sum", b"1"), (b"x-b", b"2")]),
    "Connection: close": Row(reply(b"x", b"200 OK", b"Connection: close"), body=b"x", fate="CLOSED"),
    "Connection: a list with close": Row(reply(b"x", b"200 OK", b"Connection: foo, Close"), body=b"x",
                                         fate="CLOSED"),
    "HTTP/1.0": Row(b"HTTP/1.0 200 OK\r\nContent-Length: 2" + HEAD_END + b"hi", body=b"hi", fate="CLOSED"),
    "HTTP/1.0 with keep-alive": Row(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"
                                    b"Content-Length: 2" + HEAD_END + b"hi", body=b"hi"),
    "one interim": Row(b"HTTP/1.1 103 Early Hints\r\nLink: </a>" + HEAD_END + LENGTH_5 + b"hello",
                       body=b"hello", interims=[103]),
    "many interims": Row(b"HTTP/1.1 102 P" + HEAD_END + b"HTTP/1.1 103 E\r\nA: b" + HEAD_END
                         + b"HTTP/1.1 100 C" + HEAD_END + reply(b"x"), body=b"x", interims=[102, 103, 100]),
}  # fmt: skip
ENDED = {
    "until EOF": Row(OK + b"\r\n" + b"some text", "COMPLETE_BY_EOF", b"some text", closes=True),
    "until EOF and empty": Row(OK + b"\r\n", "COMPLETE_BY_EOF", closes=True),
    "HTTP/1.0 until EOF": Row(
        b"HTTP/1.0 200 OK" + HEAD_END + b"text", "COMPLETE_BY_EOF", b"text", closes=True
    ),
    "cut in the body": Row(LENGTH_5 + b"hell", "TRUNCATED", b"hell", closes=True),
    "cut before the body": Row(LENGTH_5, "TRUNCATED", closes=True),
    "cut in a chunk size": Row(CHUNKED + b"5", "TRUNCATED", closes=True),
    "cut in a chunk": Row(CHUNKED + b"5\r\nhel", "TRUNCATED", b"hel", closes=True),
    "cut behind a chunk": Row(CHUNKED + b"5\r\nhello", "TRUNCATED", b"hello", closes=True),
    "cut before the last chunk": Row(CHUNKED + b"5\r\nhello\r\n", "TRUNCATED", b"hello", closes=True),
    "cut behind the last chunk": Row(CHUNKED + b"5\r\nhello\r\n0\r\n", "TRUNCATED", b"hello", closes=True),
    "cut in the trailers": Row(CHUNKED + b"5\r\nhello\r\n0\r\nX: y\r\n", "TRUNCATED", b"hello", closes=True),
    "cut in the last CRLF": Row(CHUNKED + b"0\r\n\r", "TRUNCATED", closes=True),
}


async def exchanged(world, row, send):
    """One exchange with an upstream that sends the row; checks all that the row says."""
    origin = await world.origin()
    session = await world.session()
    stream = session.start(ask(row.method, origin))
    peer = await origin.connection()
    await peer.head()
    await send(peer)
    if row.closes:
        peer.half_close()
    answer = await stream.answer()
    assert (outcome(answer), bytes(answer.body)) == (row.outcome, row.body)
    assert answer.reply.status == row.status
    assert [one.status for one in answer.interims] == row.interims
    assert [(one.name, one.value) for one in answer.trailers] == row.trailers
    assert answer.end.reply_body_bytes == len(row.body)
    assert bool(answer.end.detail) == (row.outcome not in ("COMPLETE", "COMPLETE_BY_EOF"))
    return peer, session, origin, answer


@pytest.mark.parametrize("row", WHOLE.values(), ids=WHOLE)
@pytest.mark.parametrize("how", ["whole", "byte by byte"])
async def test_a_reply_is_complete_only_by_proof(world, row, how):
    send = (
        (lambda peer: peer.send(row.wire)) if how == "whole" else (lambda peer: peer.send_bytewise(row.wire))
    )
    peer, session, origin, answer = await exchanged(world, row, send)
    assert fate(answer) == row.fate
    again = session.start(get(origin))
    if row.fate == "CLOSED":
        assert await peer.ended() == b""
        peer = await origin.connection()
    await peer.head()
    await peer.send(reply(b"next"))
    assert (await again.answer()).body == b"next"
    assert len(origin.peers) == (2 if row.fate == "CLOSED" else 1)


@pytest.mark.parametrize("row", WHOLE.values(), ids=WHOLE)
async def test_a_byte_behind_a_whole_reply_condemns_the_connection_and_harms_nothing_else(world, row):
    peer, session, origin, answer = await exchanged(world, row, lambda peer: peer.send(row.wire + b"H"))
    assert fate(answer) in (
        "CLOSED",
        "POOLED",
    )  # POOLED: the byte came in a later read, and closed it when idle
    again = session.start(get(origin))
    assert await peer.ended() == b"", "no request follows on it"
    fresh = await origin.connection()
    await fresh.head()
    await fresh.send(reply(b"own"))
    assert (await again.answer()).body == b"own"


@pytest.mark.parametrize("row", ENDED.values(), ids=ENDED)
@pytest.mark.parametrize("how", ["whole", "byte by byte"])
async def test_a_reply_that_ends_with_its_connection_is_never_reported_complete(world, row, how):
    send = (
        (lambda peer: peer.send(row.wire)) if how == "whole" else (lambda peer: peer.send_bytewise(row.wire))
    )
    peer, _, _, answer = await exchanged(world, row, send)
    assert fate(answer) == "CLOSED"
    assert await peer.ended() == b""


@pytest.mark.parametrize("cut", range(1, len(LENGTH_5)))
async def test_a_head_that_is_cut_anywhere_gives_no_reply(world, cut):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(ask("POST", origin, length=0))
    stream.finish()
    peer = await origin.connection()
    await peer.head()
    await peer.send(LENGTH_5[:cut])
    peer.half_close()
    answer = await stream.answer()
    assert answer.reply is None and outcome(answer) == "TRUNCATED"
    assert await peer.ended() == b""


def chunk(line):
    return CHUNKED + line


def head(line):
    return OK + line + b"\r\nContent-Length: 0" + HEAD_END


BAD = {
    "not HTTP": b"220 mail.example ESMTP\r\n" + HEAD_END,
    "HTTP/0.9": b"<html>hello</html>" + HEAD_END,
    "HTTP/2": b"HTTP/2.0 200 OK" + HEAD_END,
    "http in small letters": b"http/1.1 200 OK" + HEAD_END,
    "a space before": b" HTTP/1.1 200 OK" + HEAD_END,
    "two digits of status": b"HTTP/1.1 20 OK" + HEAD_END,
    "four digits of status": b"HTTP/1.1 2000 OK" + HEAD_END,
    "status 099": b"HTTP/1.1 099 OK" + HEAD_END,
    "letters for a status": b"HTTP/1.1 2xx OK" + HEAD_END,
    "NUL in the reason": b"HTTP/1.1 200 O\0K" + HEAD_END,
    "NUL in a value": head(b"X: a\0b"),
    "NUL in a name": head(b"X\0: a"),
    "CR in a value": head(b"X: a\rb"),
    "a control in a value": head(b"X: a\x01b"),
    "no colon": head(b"X"),
    "no name": head(b": a"),
    "white space before the colon": head(b"X : a"),
    "a space in a name": head(b"X Y: a"),
    "white space before the first field": OK + b" X: a" + HEAD_END,
    "differing lengths": OK + b"Content-Length: 2\r\nContent-Length: 3" + HEAD_END + b"abc",
    "a list of differing lengths": OK + b"Content-Length: 2, 3" + HEAD_END + b"abc",
    "a signed length": OK + b"Content-Length: +2" + HEAD_END + b"ab",
    "a negative length": OK + b"Content-Length: -2" + HEAD_END + b"ab",
    "an empty length": OK + b"Content-Length:" + HEAD_END,
    "a hex length": OK + b"Content-Length: 0x2" + HEAD_END + b"ab",
    "a length with a fraction": OK + b"Content-Length: 2.0" + HEAD_END + b"ab",
    "a length past 64 bits": OK + b"Content-Length: 18446744073709551616" + HEAD_END,
    "an unknown transfer coding alone": OK + b"Transfer-Encoding: sdch" + HEAD_END + b"ab",
    "chunked twice": OK + b"Transfer-Encoding: chunked, chunked" + HEAD_END + b"0\r\n\r\n",
    "no chunk size": chunk(b"\r\n"),
    "a chunk size that is no hex": chunk(b"g\r\n"),
    "a chunk size with a sign": chunk(b"+1\r\na\r\n0\r\n\r\n"),
    "a negative chunk size": chunk(b"-1\r\n"),
    "a chunk size with 0x": chunk(b"0x1\r\na\r\n0\r\n\r\n"),
    "a chunk size with _": chunk(b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n"),
    "a chunk size past 64 bits": chunk(b"10000000000000000\r\n"),
    "white space before a chunk size": chunk(b" 1\r\na\r\n0\r\n\r\n"),
    "white space behind a chunk size": chunk(b"1 \r\na\r\n0\r\n\r\n"),
    "a bare LF behind a chunk size": chunk(b"1\na\r\n0\r\n\r\n"),
    "a bare LF in an extension": chunk(b"1;a\nb\r\na\r\n0\r\n\r\n"),
    "a CR without LF behind a chunk size": chunk(b"1\ra\r\n0\r\n\r\n"),
    "chunk data without CRLF": chunk(b"1\r\nab\r\n0\r\n\r\n"),
    "chunk data with a bare LF": chunk(b"1\r\na\n0\r\n\r\n"),
    "a bad trailer": chunk(b"0\r\nX\r\n\r\n"),
    "too many fields": OK + b"a: b\r\n" * 257 + b"\r\n",
    "too long a head": OK + b"a: " + b"b" * 70_000 + HEAD_END,
    "too long a chunk line": chunk(b"1;" + b"a" * 5_000 + b"\r\na\r\n0\r\n\r\n"),
    "too many interims": (b"HTTP/1.1 103 E" + HEAD_END) * 101 + reply(),
    "an endless status line": b"HTTP/1.1 200 " + b"a" * 70_000,
    "101 that nobody asked for": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade"
    + HEAD_END,
}


BAD_WAYS = [(name, how) for name, wire in BAD.items() for how in ["whole", "byte by byte"]
            if how == "whole" or len(wire) < 4000]  # fmt: skip


@pytest.mark.parametrize("name, how", BAD_WAYS)
async def test_a_reply_that_breaks_the_rules_ends_its_stream_and_its_connection(world, name, how):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(get(origin))
    peer = await origin.connection()
    await peer.head()
    try:
        await (peer.send(BAD[name]) if how == "whole" else peer.send_bytewise(BAD[name]))
    except ConnectionError:
        pass  # the sidecar has seen enough
    answer = await stream.answer()
    assert outcome(answer) == "BAD_REPLY"
    assert answer.end.detail and fate(answer) == "CLOSED"
    assert await peer.ended() == b""
    again = session.start(get(origin))  # a broken reply ends the stream, not the session
    fresh = await origin.connection()
    await fresh.head()
    await fresh.send(reply(b"fine"))
    assert (await again.answer()).body == b"fine"


FIVE = b"5\r\nhello\r\n0\r\n\r\n"
DOUBTFUL = {
    "TE and CL": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 3" + HEAD_END + FIVE,
    "CL and TE": OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked" + HEAD_END + FIVE,
    "HTTP/1.0 with TE": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked" + HEAD_END
    + FIVE,
}  # fmt: skip


@pytest.mark.parametrize("wire", DOUBTFUL.values(), ids=DOUBTFUL)
async def test_a_reply_of_doubtful_framing_is_bad_or_read_by_chunks_and_its_connection_never_reused(
    world, wire
):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(get(origin))
    peer = await origin.connection()
    await peer.head()
    await peer.send(wire)
    answer = await stream.answer()
    assert (outcome(answer), bytes(answer.body)) in [("COMPLETE", b"hello"), ("BAD_REPLY", b"")]
    assert fate(answer) == "CLOSED"
    assert await peer.ended() == b""


async def test_the_head_comes_back_as_bytes_in_order(world):
    lines = [b"X-b: 2", b"x-a: 1", b"X-b: \x80\xff", b"Set-Cookie: a", b"set-cookie: b", b"Empty:",
             b"Date: now", b"Connection: x-hop", b"x-hop: 1", b"Keep-Alive: timeout=5"]  # fmt: skip
    origin = await world.origin(answering(reply(b"", b"299 Fine \xe4 reason", *lines)))
    session = await world.session()
    answer = await session.exchange(get(origin))
    pairs = [tuple(part.strip() for part in line.split(b":", 1)) for line in [b"Content-Length: 0", *lines]]
    assert [(one.name, one.value) for one in answer.reply.fields] == pairs
    assert (answer.reply.status, answer.reply.reason, answer.reply.version) == (299, b"Fine \xe4 reason", 11)


FRAMINGS = {
    "none": (reply(), pb.REPLY_BODY_LENGTH, 0), "length": (reply(b"abc"), pb.REPLY_BODY_LENGTH, 3),
    "204": (b"HTTP/1.1 204 N" + HEAD_END, pb.REPLY_BODY_NONE, 0),
    "chunked": (CHUNKED + b"0\r\n\r\n", pb.REPLY_BODY_CHUNKED, 0),
    "EOF": (OK + b"\r\n", pb.REPLY_BODY_UNTIL_EOF, 0),
}  # fmt: skip


@pytest.mark.parametrize("wire, kind, length", FRAMINGS.values(), ids=FRAMINGS)
async def test_the_reply_says_how_its_body_is_delimited(world, wire, kind, length):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(get(origin))
    peer = await origin.connection()
    await peer.head()
    await peer.send(wire)
    peer.half_close()
    answer = await stream.answer()
    # A length of 0 may be reported as no body.
    assert (answer.reply.body, answer.reply.body_length) in [(kind, length), (pb.REPLY_BODY_NONE, length)]


async def test_version_and_connection_facts_are_reported(world):
    origin = await world.origin(answering())
    session = await world.session()
    facts = [(await session.exchange(get(origin))).reply.connection for _ in range(2)]
    assert [(one.reused, one.requests, one.endpoint_index, one.pinned) for one in facts] == [
        (False, 1, 0, False), (True, 2, 0, False)]  # fmt: skip
    assert facts[0].remote == origin.endpoint
    assert (facts[0].local.ip, facts[0].local.port) == (bytes([127, 0, 0, 1]), origin.peers[0].remote[1])


async def test_obsolete_line_folding_is_refused_or_made_one_line(world):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(get(origin))
    peer = await origin.connection()
    await peer.head()
    await peer.send(OK + b"X: a\r\n b\r\nContent-Length: 0" + HEAD_END)
    answer = await stream.answer()
    if outcome(answer) == "COMPLETE":  # RFC 9112 §5.2
        assert (b"X", b"a b") in [(one.name, b" ".join(one.value.split())) for one in answer.reply.fields]
    else:
        assert outcome(answer) == "BAD_REPLY"


@pytest.mark.sidecar(chunk_overhead_bytes_max=2048)
async def test_chunk_framing_beyond_its_limit_is_an_amplifier_and_ends_the_stream(world):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(get(origin))
    peer = await origin.connection()
    await peer.head()
    resident = world.sidecar.resident()
    await peer.send(CHUNKED)
    try:
        for _ in range(10_000):
            await peer.send(b"1;" + b"x" * 1000 + b"\r\na\r\n")
    except ConnectionError:
        pass
    answer = await stream.answer()
    assert outcome(answer) == "BAD_REPLY"
    assert world.sidecar.resident() - resident < 4 << 20
