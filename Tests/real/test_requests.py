# test_requests.py: what goes out on the wire for a request, byte for byte, and what is refused before any
# byte. Source: RFC 9112 §3, §5, §6, §7; proto/outrigger.proto, message Request.
import pytest

import outrigger
from origin import answering
from outrigger import END_STREAM, REQUEST, endpoint, pb
from world import ask, get, outcome

CHUNKED = {"body": pb.BODY_CHUNKED}
HOST = b"Host: origin.test"

LINE_ROWS = {
    "origin form": (dict(method="GET", target="/a?b=c"), b"GET /a?b=c HTTP/1.1"),
    "no target": (dict(method="GET", target=""), b"GET / HTTP/1.1"),
    "any method token": (dict(method="M-SEARCH!#$", target="/"), b"M-SEARCH!#$ / HTTP/1.1"),
    "a method in small letters": (dict(method="get", target="/"), b"get / HTTP/1.1"),
    "asterisk form": (dict(method="OPTIONS", target="*"), b"OPTIONS * HTTP/1.1"),
    "absolute form to a peer": (dict(method="GET", target="/a?b", route=pb.ROUTE_PEER),
                                b"GET http://origin.test/a?b HTTP/1.1"),
    "asterisk form to a peer": (dict(method="OPTIONS", target="*", route=pb.ROUTE_PEER),
                                b"OPTIONS http://origin.test HTTP/1.1"),
    "every mark of a target": (dict(method="GET", target="/%00;b=c,d:e@f!$&'()*+~-._?x=/?"),
                               b"GET /%00;b=c,d:e@f!$&'()*+~-._?x=/? HTTP/1.1"),
}  # fmt: skip


@pytest.mark.parametrize("fields, line", LINE_ROWS.values(), ids=LINE_ROWS)
async def test_the_request_line_follows_rfc_9112_section_3(world, fields, line):
    origin = await world.origin(answering())
    session = await world.session()
    answer = await session.exchange(ask(origin=origin, **fields))
    assert outcome(answer) == "COMPLETE"
    assert origin.requests[0].line == line
    assert origin.requests[0].values(b"host") == [b"origin.test"]


@pytest.mark.parametrize(
    "authority", ["a", "a:8080", "[2001:db8::1]:80", "192.0.2.1", "xn--bcher-kva.example", ""]
)
async def test_host_is_made_from_the_authority(world, authority):
    origin = await world.origin(answering())
    session = await world.session()
    assert outcome(await session.exchange(get(origin, authority=authority))) == "COMPLETE"
    assert origin.requests[0].values(b"host") == [authority.encode()]


async def test_header_bytes_are_passed_exactly_and_in_order(world):
    headers = [
        (b"X-b", b"2"), (b"x-A", b"1  1"), (b"x-a", b""), (b"Cookie", b"a=b; c=\"d\""), (b"cookie", b"e=f"),
        (b"!#$%&'*+-.^_`|~09", b"\x80\xff\ttab"), (b"accept", b"*/*"), (b"Via", b"1.1 proxy"),
    ]  # fmt: skip
    origin = await world.origin(answering())
    session = await world.session()
    assert outcome(await session.exchange(get(origin, "/", headers))) == "COMPLETE"
    wire = b"\r\n".join(name + b": " + value for name, value in headers)
    assert b"\r\n" + wire + b"\r\n" in origin.requests[0]
    assert sorted(origin.requests[0].lines) == sorted([HOST, *wire.split(b"\r\n")]), "and nothing else"


async def test_a_host_that_equals_the_authority_goes_out_once(world):
    origin = await world.origin(answering())
    session = await world.session()
    assert outcome(await session.exchange(get(origin, "/", [(b"host", b"origin.test")]))) == "COMPLETE"
    assert origin.requests[0].values(b"host") == [b"origin.test"]


async def test_hop_by_hop_fields_of_the_proxy_are_left_out(world):
    names = [b"Connection", b"Keep-Alive", b"Proxy-Connection", b"TE", b"Upgrade"]
    origin = await world.origin(answering())
    session = await world.session()
    headers = [(name, b"close") for name in names] + [(b"x-kept", b"yes")]
    assert outcome(await session.exchange(get(origin, "/", headers))) == "COMPLETE"
    assert sorted(origin.requests[0].lines) == sorted([HOST, b"x-kept: yes"])
    assert outcome(await session.exchange(get(origin))) == "COMPLETE"
    assert len(origin.peers) == 1, "Connection: close of the proxy's hop does not close ours"


BODY_ROWS = {
    "no body": (dict(), b"", None, b"", []),
    "by length": (dict(length=5), b"hello", None, b"hello", [b"Content-Length: 5"]),
    "of no bytes": (dict(length=0), b"", None, b"", [b"Content-Length: 0"]),
    "chunked": (CHUNKED, b"hello", None, b"5\r\nhello\r\n0\r\n\r\n", [b"Transfer-Encoding: chunked"]),
    "chunked and empty": (CHUNKED, b"", None, b"0\r\n\r\n", [b"Transfer-Encoding: chunked"]),
    "chunked with trailers": (CHUNKED, b"0123456789abcdefg", [(b"X-Sum", b"1"), (b"x-two", b"2")],
                              b"11\r\n0123456789abcdefg\r\n0\r\nX-Sum: 1\r\nx-two: 2\r\n\r\n",
                              [b"Transfer-Encoding: chunked"]),
}  # fmt: skip


@pytest.mark.parametrize("fields, body, trailers, wire, framing", BODY_ROWS.values(), ids=BODY_ROWS)
async def test_the_body_is_framed_as_the_request_says(world, fields, body, trailers, wire, framing):
    origin = await world.origin(answering())
    session = await world.session()
    answer = await session.exchange(ask("POST", origin, **fields), body, trailers)
    assert outcome(answer) == "COMPLETE"
    head, rest = bytes(origin.peers[0].received).split(b"\r\n\r\n", 1)
    assert rest == wire
    lines = [line.lower() for line in origin.requests[0].lines]
    if fields:  # without a body, Content-Length: 0 may or may not stand there (RFC 9110 §8.6)
        assert sorted(lines) == sorted([HOST.lower(), *[line.lower() for line in framing]])
    else:
        assert not origin.requests[0].values(b"transfer-encoding")
    assert answer.end.request_body_bytes == len(body)


@pytest.mark.parametrize(
    "fields, wire", [(CHUNKED, b"0\r\n\r\n"), (dict(length=0), b"")], ids=["chunked", "by length"]
)
async def test_a_body_of_no_bytes_may_end_with_its_request(world, fields, wire):
    origin = await world.origin(answering())
    session = await world.session()
    for id in 1, 2:  # the second shows that the connection stands between two messages
        stream = session.streams[id] = outrigger.Stream(session, id)
        session.send(REQUEST, id, ask("POST", origin, f"/{id}", **fields), END_STREAM)
        assert outcome(await stream.answer()) == "COMPLETE"
    assert len(origin.peers) == 1
    assert bytes(origin.peers[0].received).split(b"\r\n\r\n", 1)[1].startswith(wire + b"POST /2 ")


async def test_a_content_length_that_agrees_with_the_body_goes_out_once(world):
    origin = await world.origin(answering())
    session = await world.session()
    answer = await session.exchange(ask("PUT", origin, "/", [(b"content-length", b"3")], length=3), b"abc")
    assert outcome(answer) == "COMPLETE"
    assert origin.requests[0].values(b"content-length") == [b"3"]


async def refused(world, message, body=b"", words=""):
    """The request ends BAD_REQUEST with a reason, none of it reaches the origin, the session goes on."""
    origin = world.origins[0]
    session = await world.session()
    answer = await session.exchange(message, body)
    assert outcome(answer) == "BAD_REQUEST"
    assert answer.end.detail and words.lower() in answer.end.detail.lower()
    assert answer.reply is None and not answer.end.request_started
    assert outcome(await session.exchange(get(origin, "/after"))) == "COMPLETE"
    assert [bytes(peer.received).split(b"\r\n")[0] for peer in origin.peers] == [b"GET /after HTTP/1.1"]


CONTROLS = [b"\r", b"\n", b"\r\n", b"\0"]
SPLITS = [(field, prefix + bad + b"X: y") for field, prefix in
          [("method", b"GET"), ("target", b"/a"), ("authority", b"a"), ("name", b"x-a"), ("value", b"v")]
          for bad in CONTROLS]  # fmt: skip
ILLEGAL = [
    ("method", b"GE T"), ("method", b"GET/"), ("method", b""), ("method", b"G\x80T"), ("method", b"G" * 65),
    ("method", b"GET\t"), ("method", b"GET:"),
    ("target", b"/a b"), ("target", b"a"), ("target", b"*"), ("target", b"/\x7f"), ("target", b"/\x01"),
    ("target", b"http://a/"), ("target", b"/a\tb"),
    ("authority", b"a b"), ("authority", b"a/b"), ("authority", b"user@a"), ("authority", b"a?b"),
    ("authority", b"a#b"), ("authority", b"a\\b"), ("authority", b"a" * 1025), ("authority", b"a\x80"),
    ("authority", b"a\x7f"),
    ("name", b""), ("name", b"a b"), ("name", b"a:"), ("name", b" a"), ("name", b"a\x80"), ("name", b"a\t"),
    ("name", b"(a)"),
    ("value", b"a\x7f"), ("value", b"a\x01"), ("value", b"\x08"),
]  # fmt: skip


@pytest.mark.parametrize(
    "where, bad", SPLITS + ILLEGAL, ids=lambda part: part if isinstance(part, str) else None
)
async def test_bytes_that_would_split_a_message_are_refused_before_any_byte_leaves(world, where, bad):
    origin = await world.origin(answering())
    message = get(origin, "/bad")
    if where in ("method", "target", "authority"):
        setattr(message, where, bad)
    else:
        line = {"name": b"x-a", "value": b"v", ("value" if where == "value" else "name"): bad}
        message.fields.add(**line)
    await refused(world, message)


FRAMING_ROWS = {
    "two Hosts": (dict(headers=[(b"Host", b"origin.test"), (b"host", b"origin.test")]), b""),
    "another Host": (dict(headers=[(b"Host", b"evil.test")]), b""),
    "a length without a body": (dict(headers=[(b"Content-Length", b"5")]), b""),
    "another length": (dict(headers=[(b"Content-Length", b"4")], length=5), b"hello"),
    "two lengths": (dict(headers=[(b"Content-Length", b"5"), (b"Content-Length", b"6")], length=5), b"hello"),
    "a list of lengths": (dict(headers=[(b"Content-Length", b"5, 6")], length=5), b"hello"),
    "a signed length": (dict(headers=[(b"Content-Length", b"+5")], length=5), b"hello"),
    "a length with chunks": (dict(headers=[(b"Content-Length", b"5")], **CHUNKED), b"hello"),
    "chunks without a body": (dict(headers=[(b"Transfer-Encoding", b"chunked")]), b""),
    "chunks with a length": (dict(headers=[(b"Transfer-Encoding", b"chunked")], length=5), b"hello"),
    "another coding": (dict(headers=[(b"Transfer-Encoding", b"gzip, chunked")], **CHUNKED), b"hello"),
}


@pytest.mark.parametrize("fields, body", FRAMING_ROWS.values(), ids=FRAMING_ROWS)
async def test_headers_that_contradict_host_or_body_are_refused(world, fields, body):
    origin = await world.origin(answering())
    await refused(world, ask("POST", origin, "/bad", **fields), body)


SIZE_ROWS = {
    "too many fields": dict(headers=[(b"x", b"y")] * 257),
    "too long a head": dict(headers=[(b"x", b"y" * 20_000)] * 3 + [(b"x", b"y" * 6_000)]),
    "too long a target": dict(target="/" + "a" * 65_600),
    "too long an upgrade": dict(upgrade=b"u" * 65),
    "an upgrade that is no token": dict(upgrade=b"a b\r\nX: y"),
    "too long a tag": dict(tag=b"t" * 129),
}


@pytest.mark.parametrize("fields", SIZE_ROWS.values(), ids=SIZE_ROWS)
@pytest.mark.sidecar(frame_payload_bytes_max=1 << 20)
async def test_requests_beyond_a_limit_are_refused(world, fields):
    origin = await world.origin(answering())
    message = get(origin, **fields)
    await refused(world, message)


async def test_bad_trailers_are_never_sent(world):
    origin = await world.origin()
    session = await world.session()
    for name, value in [(b"x", b"a\r\nb"), (b"x y", b"a"), (b"", b"a"), (b"x", b"\0")]:
        stream = session.start(ask("POST", origin, **CHUNKED))
        peer = await origin.connection()
        await peer.head()
        await stream.send(b"data")
        stream.finish(trailers=[(name, value)])
        assert outcome(await stream.answer()) == "BAD_REQUEST"
        assert (await peer.ended()) in (b"", b"4\r\ndata\r\n"), "the body never looks whole"


ENDPOINT_ROWS = {
    "none": [],
    "too many": [endpoint("127.0.0.1", 1)] * 17,
    "an address of 5 bytes": [pb.Endpoint(ip=bytes(5), port=80)],
    "no port": [pb.Endpoint(ip=bytes([127, 0, 0, 1]))],
    "a port too large": [pb.Endpoint(ip=bytes([127, 0, 0, 1]), port=65_536)],
    "neither address nor path": [pb.Endpoint(port=80)],
    "both address and path": [pb.Endpoint(ip=bytes([127, 0, 0, 1]), port=80, unix_path=b"/x")],
    "a path with a port": [pb.Endpoint(unix_path=b"/x", port=80)],
    "a path too long": [pb.Endpoint(unix_path=b"/" + b"x" * 107)],
    "a path with NUL": [pb.Endpoint(unix_path=b"/x\0y")],
    "the second one is bad": [endpoint("127.0.0.1", 1), pb.Endpoint(ip=b"")],
}


@pytest.mark.parametrize("endpoints", ENDPOINT_ROWS.values(), ids=ENDPOINT_ROWS)
async def test_endpoints_that_cannot_be_are_refused(world, endpoints):
    await world.origin(answering())
    await refused(world, get(endpoints))


async def test_an_upgrade_is_asked_for_in_connection_and_upgrade(world):
    origin = await world.origin()
    session = await world.session()
    stream = session.start(get(origin, upgrade=b"websocket"))
    peer = await origin.connection()
    head = await peer.head()
    assert head.values(b"upgrade") == [b"websocket"]
    assert [value.lower() for value in head.values(b"connection")] == [b"upgrade"]
    stream.cancel()
    assert outcome(await stream.answer()) == "CANCELLED"
