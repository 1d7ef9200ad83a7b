# websocket.py: as much of a WebSocket as an echo needs, both sides, over any Peer.
# Owns: handshake and frames. Never touches: sockets. Source: RFC 6455 §4 and §5.
import base64
import hashlib
import os

from origin import HEAD_END

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE = 1, 8
KEY = base64.b64encode(b"sixteen bytes ..")
FIELDS = [(b"Sec-WebSocket-Key", KEY), (b"Sec-WebSocket-Version", b"13")]


def accept(key):
    return base64.b64encode(hashlib.sha1(key + GUID).digest())


def masked(data, mask):
    return bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))


def frame(data, opcode=TEXT, mask=b""):
    """One whole message."""
    size, flag = len(data), 0x80 if mask else 0
    if size < 126:
        head = bytes([0x80 | opcode, flag | size])
    elif size < 1 << 16:
        head = bytes([0x80 | opcode, flag | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([0x80 | opcode, flag | 127]) + size.to_bytes(8, "big")
    return head + mask + (masked(data, mask) if mask else data)


async def message(peer):
    """The next frame of the other side: opcode, data."""
    first, second = await peer.read(2)
    size = second & 0x7F
    if size >= 126:
        size = int.from_bytes(await peer.read(2 if size == 126 else 8), "big")
    mask = await peer.read(4) if second & 0x80 else b""
    data = await peer.read(size)
    return first & 0x0F, masked(data, mask) if mask else data


async def echo(peer):
    """A `serve` of an Origin: takes the upgrade, sends each message back, and closes when asked to."""
    head = await peer.head()
    assert head.values(b"upgrade") == [b"websocket"], head
    key = accept(head.values(b"sec-websocket-key")[0])
    await peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    b"Sec-WebSocket-Accept: " + key + HEAD_END)  # fmt: skip
    while True:
        opcode, data = await message(peer)
        await peer.send(frame(data, opcode))
        if opcode == CLOSE:
            peer.close()
            return


async def upgrade(peer, authority=b"origin.test"):
    """The client's handshake, for who writes to the origin himself."""
    lines = [b"GET /socket HTTP/1.1", b"Host: " + authority, b"Connection: Upgrade", b"Upgrade: websocket"]
    await peer.send(b"\r\n".join(lines + [name + b": " + value for name, value in FIELDS]) + HEAD_END)
    head = await peer.head()
    assert head.startswith(b"HTTP/1.1 101") and head.values(b"sec-websocket-accept") == [accept(KEY)], head


async def converse(peer):
    """Messages of all three length forms there and back, then the closing handshake."""
    for size in 5, 300, 100_000:
        text = os.urandom(size).hex()[:size].encode()
        await peer.send(frame(text, TEXT, os.urandom(4)))
        assert await message(peer) == (TEXT, text)
    await peer.send(frame(b"\x03\xe8", CLOSE, os.urandom(4)))
    assert await message(peer) == (CLOSE, b"\x03\xe8")
