# certificates.py: two authorities and what they sign, made with the openssl command in well under a second.
# Owns: keys, certificates and OCSP responses in a folder of their own. Never touches: sockets.
# Source: openssl-ca(1), openssl-ocsp(1); RFC 5280; RFC 6960.
import base64
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

CONFIGURATION = """
[req]
distinguished_name = name
[name]
[ca]
default_ca = issuer
[issuer]
database = {folder}/index.txt
rand_serial = yes
default_md = sha256
default_days = 30
new_certs_dir = {folder}
policy = any
unique_subject = no
[any]
commonName = supplied
"""
EXTENSIONS = "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage={usage}\n{names}\n"
AUTHORITY = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign,digitalSignature\n"
PAST, FUTURE = ("20200101000000Z", "20200201000000Z"), ("20990101000000Z", "20990201000000Z")
# dNSName "origin.test", NUL, ".evil.test": to who stops at the NUL it is origin.test.
NUL_NAME = b"origin.test\0.evil.test"
NUL_SAN = (bytes([0x30, len(NUL_NAME) + 2, 0x82, len(NUL_NAME)]) + NUL_NAME).hex(":")


def openssl(*words, **more):
    result = subprocess.run(["openssl", *map(str, words)], capture_output=True, **more)
    assert result.returncode == 0, (words, result.stderr.decode(errors="replace"))
    return result.stdout


def der(pem):
    """The first PEM block of a text, decoded."""
    return base64.b64decode("".join(pem.split("-----")[2].split()))


class Certificate:
    """`path`: the certificate and its chain; `key`: its key; `both`: all in one file."""

    def __init__(self, path, key, chain=None):
        self.alone, self.key = pathlib.Path(path), pathlib.Path(key)
        self.path = self.both = self.alone
        if chain:
            own = self.alone.read_text()
            self.path, self.both = self.alone.with_suffix(".chain.pem"), self.alone.with_suffix(".both.pem")
            self.path.write_text(own + chain)
            self.both.write_text(own + chain + self.key.read_text())

    @property
    def sha256(self):
        return hashlib.sha256(der(self.alone.read_text())).digest()

    @property
    def spki_sha256(self):
        """What a pin is compared with. Source: RFC 7469 §2.4."""
        public = openssl("x509", "-in", self.alone, "-noout", "-pubkey").decode()
        return hashlib.sha256(der(public)).digest()


class Authority:
    """A root, an intermediate under it, and what the intermediate signs, in a folder."""

    def __init__(self, folder, name):
        self.folder, self.name = pathlib.Path(folder), name
        self.folder.mkdir()
        (self.folder / "index.txt").touch()
        self.configuration = self.folder / "openssl.cnf"
        self.configuration.write_text(CONFIGURATION.format(folder=self.folder))
        self.file = self.folder / "root.pem"
        root_key, key = self.new_key("root"), self.new_key("intermediate")
        (self.folder / "root.ext").write_text(AUTHORITY)
        request = ["req", "-new", "-config", self.configuration]
        openssl(*request, "-x509", "-days", 30, "-key", root_key, "-subj", f"/CN={name} root",
                "-out", self.file, "-addext", "basicConstraints=critical,CA:TRUE",
                "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
        openssl(
            *request, "-key", key, "-subj", f"/CN={name} issuer", "-out", self.folder / "intermediate.csr"
        )
        self.intermediate = Certificate(self.folder / "intermediate.pem", key)
        self.sign(
            "intermediate", self.folder / "intermediate.csr", f"{name} issuer", AUTHORITY, self.file, root_key
        )
        self.chain = self.intermediate.alone.read_text()
        self.leaf_key = self.new_key("leaf")
        openssl(*request, "-key", self.leaf_key, "-subj", "/CN=leaf", "-out", self.folder / "leaf.csr")

    def new_key(self, name):
        path = self.folder / f"{name}.key"
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
        path.chmod(0o644)  # its servers may run as another user
        return path

    def sign(self, name, request, subject, extensions, issuer, issuer_key, dates=None):
        (self.folder / f"{name}.ext").write_text(extensions)
        words = ["-startdate", dates[0], "-enddate", dates[1]] if dates else []
        openssl("ca", "-batch", "-notext", "-config", self.configuration, "-cert", issuer,
                "-keyfile", issuer_key, "-in", request, "-subj", f"/CN={subject}",
                "-extfile", self.folder / f"{name}.ext",
                "-out", self.folder / f"{name}.pem", *words)  # fmt: skip

    def issue(self, name, names, subject=None, usage="serverAuth", dates=None, key=None):
        """A certificate. `names`: the value of subjectAltName, or None for no such extension."""
        request = self.folder / "leaf.csr"
        if key:
            request = self.folder / f"{name}.csr"
            openssl(
                "req", "-new", "-config", self.configuration, "-key", key, "-subj", "/CN=x", "-out", request
            )
        line = f"subjectAltName={names}" if names else ""
        self.sign(name, request, subject or name, EXTENSIONS.format(usage=usage, names=line),
                  self.intermediate.alone, self.intermediate.key, dates)  # fmt: skip
        return Certificate(self.folder / f"{name}.pem", key or self.leaf_key, self.chain)

    def revoke(self, certificate):
        openssl("ca", "-config", self.configuration, "-cert", self.intermediate.alone,
                "-keyfile", self.intermediate.key, "-revoke", certificate.alone)  # fmt: skip

    def staple(self, name, certificate):
        """A file with the OCSP response for a certificate, valid for a day."""
        path, issuer = self.folder / f"{name}.ocsp", self.intermediate
        openssl("ocsp", "-index", self.folder / "index.txt", "-CA", issuer.alone, "-rsigner", issuer.alone,
                "-rkey", issuer.key, "-issuer", issuer.alone, "-cert", certificate.alone, "-noverify",
                "-no_nonce", "-ndays", 1, "-resp_no_certs", "-respout", path)  # fmt: skip
        return path

    def stale(self, name, fresh):
        """The OCSP response of file `fresh`, with its times set into the past and signed again."""
        path = self.folder / f"{name}.ocsp"
        path.write_bytes(restamped(fresh.read_bytes(), self.intermediate.key, 10))
        return path


def elements(data):
    """The DER elements of a string: tag, whole bytes, content."""
    at, found = 0, []
    while at < len(data):
        tag, length, start = data[at], data[at + 1], at + 2
        if length > 0x80:
            start += length - 0x80
            length = int.from_bytes(data[at + 2 : start], "big")
        found.append((tag, data[at : start + length], data[start : start + length]))
        at = start + length
    return found


def element(tag, content):
    size = len(content)
    length = [size] if size < 0x80 else [0x81, size] if size < 0x100 else [0x82, size >> 8, size & 0xFF]
    return bytes([tag, *length]) + content


def restamped(response, key, years):
    """An OCSP response moved so many years into the past, signed with `key`. Source: RFC 6960 §4.2.1."""
    [(_, _, top)] = elements(response)
    status, (_, _, wrapped) = elements(top)[0][1], elements(top)[1]
    [(_, _, response_bytes)] = elements(wrapped)
    kind, (_, _, octets) = elements(response_bytes)[0][1], elements(response_bytes)[1]
    [(_, _, basic)] = elements(octets)
    signed, algorithm = elements(basic)[0][1], elements(basic)[1][1]
    at = signed.find(b"\x18\x0f20")
    while at >= 0:  # GeneralizedTime, 15 bytes: "20YYMMDDHHMMSSZ"
        year = int(signed[at + 2 : at + 6]) - years
        signed = signed[: at + 2] + b"%04d" % year + signed[at + 6 :]
        at = signed.find(b"\x18\x0f20", at + 1)
    signature = openssl("dgst", "-sha256", "-sign", key, input=signed)
    basic = element(0x30, signed + algorithm + element(0x03, b"\0" + signature))
    return element(0x30, status + element(0xA0, element(0x30, kind + element(0x04, basic))))


class Certificates:
    """All that the tests use. `origin.test` at 127.0.0.1 and ::1 is what most of it is for."""

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="outrigger-tls-"))
        self.folder.chmod(0o755)
        ours, other = Authority(self.folder / "ours", "Test"), Authority(self.folder / "other", "Other")
        self.authority, self.other = ours, other
        self.file, self.other_file = str(ours.file), str(other.file)
        self.directory, self.other_directory = self.hashed(ours.file), self.hashed(other.file)
        self.good = ours.issue("good", "DNS:origin.test,DNS:peer.test,IP:127.0.0.1,IP:::1", "origin.test")
        self.wrong_name = ours.issue("wrong-name", "DNS:other.test")
        self.expired = ours.issue("expired", "DNS:origin.test,IP:127.0.0.1", dates=PAST)
        self.future = ours.issue("future", "DNS:origin.test,IP:127.0.0.1", dates=FUTURE)
        self.ip_only = ours.issue("ip-only", "IP:127.0.0.1", "origin.test")
        self.wildcard = ours.issue("wildcard", "DNS:*.wild.test")
        self.nul = ours.issue("nul", f"DER:{NUL_SAN}")
        self.no_san = ours.issue("no-san", None, "origin.test")
        self.wrong_usage = ours.issue("wrong-usage", "DNS:origin.test", usage="clientAuth")
        self.untrusted = other.issue("untrusted", "DNS:origin.test,IP:127.0.0.1", "origin.test")
        self.revoked = ours.issue("revoked", "DNS:origin.test,IP:127.0.0.1")
        self.peer = ours.issue("peer", "DNS:peer.test,IP:127.0.0.1", key=ours.new_key("peer"))
        clients = [ours.issue(name, None, usage="clientAuth", key=ours.new_key(name))
                   for name in ("client-a", "client-b")]  # fmt: skip
        self.client, self.client_b = clients
        self.client_untrusted = other.issue("client-untrusted", None, usage="clientAuth")
        self.self_signed = self.signed_by_itself()
        ours.revoke(self.revoked)
        self.staple_good = ours.staple("good", self.good)
        self.staple_revoked = ours.staple("revoked", self.revoked)
        self.staple_stale = ours.stale("stale", self.staple_good)
        self.staple_of_another = ours.staple("another", self.wrong_name)
        self.staple_forged = other.folder / "forged.ocsp"
        self.staple_forged.write_bytes(restamped(self.staple_good.read_bytes(), other.intermediate.key, 0))
        return self

    def signed_by_itself(self):
        path, key = self.folder / "self-signed.pem", self.authority.leaf_key
        openssl("req", "-x509", "-new", "-config", self.authority.configuration, "-key", key, "-days", 30,
                "-subj", "/CN=self-signed",
                "-addext", "subjectAltName=DNS:origin.test", "-out", path)  # fmt: skip
        return Certificate(path, key)

    def hashed(self, file):
        """A folder that has the certificate under its hashed name."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.folder, prefix="hashed-"))
        shutil.copy(file, folder / "root.pem")
        openssl("rehash", folder)
        return str(folder)

    def copy(self, path):
        """The same content under another path."""
        handle, copy = tempfile.mkstemp(dir=self.folder, suffix=pathlib.Path(path).suffix)
        os.close(handle)
        shutil.copy(path, copy)
        return copy

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)
