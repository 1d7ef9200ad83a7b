# ntlm.py: the client's side of NTLMv2, for tests that pass it through a sidecar.
# Owns: the three messages. Never touches: sockets. Source: MS-NLMP sections 2.2.1, 3.3.2; RFC 1320 (MD4).
import base64
import hmac
import os
import struct

# Unicode, request target, NTLM, always sign, extended session security, version, 128, 56 bits.
FLAGS = 0x00000001 | 0x4 | 0x200 | 0x8000 | 0x80000 | 0x2000000 | 0x20000000 | 0x80000000
VERSION = bytes([6, 1, 0xB1, 0x1D, 0, 0, 0, 15])


def md4(data):
    """RFC 1320; hashlib has it only with OpenSSL's legacy provider."""
    data += b"\x80" + bytes(-(len(data) + 9) % 64) + struct.pack("<Q", 8 * len(data))
    state = [0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476]
    rounds = [
        (lambda x, y, z: x & y | ~x & z, 0, range(16), (3, 7, 11, 19)),
        (lambda x, y, z: x & y | x & z | y & z, 0x5A827999, [4 * (i % 4) + i // 4 for i in range(16)], (3, 5, 9, 13)),
        (lambda x, y, z: x ^ y ^ z, 0x6ED9EBA1, [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15], (3, 9, 11, 15)),
    ]  # fmt: skip
    for at in range(0, len(data), 64):
        words, (a, b, c, d) = struct.unpack_from("<16I", data, at), state
        for function, constant, order, shifts in rounds:
            for step, index in enumerate(order):
                total = (a + function(b, c, d) + words[index] + constant) & 0xFFFFFFFF
                shift = shifts[step % 4]
                a, b, c, d = d, (total << shift | total >> (32 - shift)) & 0xFFFFFFFF, b, c
        state = [(x + y) & 0xFFFFFFFF for x, y in zip(state, (a, b, c, d))]
    return struct.pack("<4I", *state)


def header(message):
    return b"NTLM " + base64.b64encode(message)


def negotiate():
    """Type 1, in the 40 bytes that gss-ntlmssp wants."""
    return header(b"NTLMSSP\0" + struct.pack("<II", 1, FLAGS) + bytes(16) + VERSION)


def authenticate(challenge, domain, user, password):
    """Type 3 for the value of the WWW-Authenticate field that has a type 2."""
    message = base64.b64decode(challenge.removeprefix(b"NTLM "))
    nonce = message[24:32]
    size, offset = struct.unpack_from("<H2xI", message, 40)
    information = message[offset : offset + size]
    key = hmac.digest(md4(password.encode("utf-16le")), (user.upper() + domain).encode("utf-16le"), "md5")
    moment, at = bytes(8), 0
    while at + 4 <= len(information):  # pairs of kind and size; 7 is the server's time
        kind, count = struct.unpack_from("<HH", information, at)
        moment = information[at + 4 : at + 4 + count] if kind == 7 else moment
        at += 4 + count
    blob = bytes([1, 1]) + bytes(6) + moment + os.urandom(8) + bytes(4) + information + bytes(4)
    answer = hmac.digest(key, nonce + blob, "md5") + blob
    parts = [bytes(24), answer, *(text.encode("utf-16le") for text in (domain, user, "")), b""]
    fields, payload = b"", b""
    for part in parts:
        fields += struct.pack("<HHI", len(part), len(part), 72 + len(payload))
        payload += part
    return header(b"NTLMSSP\0" + struct.pack("<I", 3) + fields + struct.pack("<I", FLAGS) + VERSION + payload)
