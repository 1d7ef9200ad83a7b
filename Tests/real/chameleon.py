# chameleon.py: an upstream that takes whatever comes: PROXY headers, TLS, CONNECT, and HTTP inside of it all.
# Owns: the upstream's side of connections, and what each was asked to be. Never touches: the sidecar.
import tls
from origin import Origin, Peer, reply
from tunnel import ESTABLISHED

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


async def peek(peer, count=1):
    """The next bytes, which stay where they are."""
    data = await peer.reader.readexactly(count)
    peer.reader._buffer[:0] = data
    return data


class Connection:
    """What one connection was asked for; `hellos` has the ClientHellos from the outside in."""

    def __init__(self):
        self.headers, self.hellos, self.targets, self.requests = [], [], [], []


class Chameleon(Origin):
    """Answers each request with its target; a request for /close has Connection: close."""

    def __init__(self, context):
        super().__init__(self.take)
        self.context, self.connections = context, []

    async def take(self, peer):
        connection = Connection()
        self.connections.append(connection)
        while True:
            first = await peek(peer)
            if first == b"\x16":
                peer = await tls.secured(peer, self.context)
                connection.hellos.append(peer.hello)
            elif first == b"\r":
                head = await peer.read(len(SIGNATURE) + 4)
                connection.headers.append(head + await peer.read(int.from_bytes(head[-2:], "big")))
            elif first == b"P" and await peek(peer, 6) == b"PROXY ":
                connection.headers.append(await peer.until(b"\r\n"))
            else:
                head = await peer.head()
                if head.method == b"CONNECT":
                    connection.targets.append(head.target)
                    await peer.send(ESTABLISHED)
                    peer = peer if isinstance(peer, tls.TlsPeer) else Peer(peer.reader, peer.writer, 0)
                    continue
                await peer.body()
                connection.requests.append(head)
                closes = head.target.endswith(b"/close")
                await peer.send(reply(head.target, b"200 OK", *([b"Connection: close"] if closes else [])))
                if closes:
                    return peer.close()
