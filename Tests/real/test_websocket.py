# test_websocket.py: a WebSocket through 101 and CONNECT, in clear text and over TLS, directly and by Squid.
# Source: issue "Proof"; RFC 6455; RFC 9110 §7.8 and §9.3.6.

import pytest

import websocket
from outrigger import pb
from proxies import LOGIN
from test_connect import connect
from test_tunnels import connect_fields, port
from tls import server_context
from tunnel import Tunnel
from world import ask, secure


@pytest.mark.parametrize("listener", ["direct", "clear", "secure", "guarded"])
async def test_a_websocket_through_connect(world, squid, certificates, listener):
    origin = await world.origin(websocket.echo)
    session = await world.session()
    target = f"origin.test:{port(origin)}"
    where = origin if listener == "direct" else [getattr(squid, listener)]
    login = [(b"Proxy-Authorization", LOGIN)] if listener == "guarded" else []
    tls = dict(tls=secure(certificates)) if listener == "secure" else {}
    message = connect(
        where, target, listener != "direct", connect_fields(*login, **tls) if login or tls else None
    )
    tunnel = await Tunnel.open(session, message)
    peer = tunnel.peer()
    await websocket.upgrade(peer, target.encode())
    await websocket.converse(peer)
    tunnel.close()
    assert (await tunnel.over()).outcome == pb.OUTCOME_COMPLETE


@pytest.mark.parametrize("inside", ["clear", "tls"])
@pytest.mark.parametrize("listener", ["direct", "clear", "secure"])
async def test_a_websocket_through_101(world, squid, certificates, inside, listener):
    """Upgrade in a request: over TLS, and in a tunnel that the sidecar makes."""
    origin = await world.origin(
        websocket.echo, tls=server_context(certificates.good) if inside == "tls" else None
    )
    session = await world.session()
    more = dict(scheme=pb.SCHEME_HTTPS, tls=secure(certificates)) if inside == "tls" else {}
    where = origin
    if listener != "direct":
        where = [getattr(squid, listener)]
        more |= dict(route=pb.ROUTE_PEER_TUNNEL)
    if listener == "secure":
        more |= dict(hop=pb.Hop(tls=secure(certificates)))
    message = ask(
        "GET", where, "/socket", websocket.FIELDS, f"origin.test:{port(origin)}", upgrade=b"websocket", **more
    )
    tunnel = await Tunnel.open(session, message)
    accepted = [field.value for field in tunnel.reply.fields if field.name.lower() == b"sec-websocket-accept"]
    assert tunnel.reply.status == 101 and accepted == [websocket.accept(websocket.KEY)]
    await websocket.converse(tunnel.peer())
    tunnel.close()
    end = await tunnel.over()
    assert (end.outcome, end.connection) == (pb.OUTCOME_COMPLETE, pb.FATE_CLOSED)
