# proxies.py: Squid as a parent, and HAProxy as a receiver of the PROXY protocol.
# Owns: these processes, their folders and ports. Never touches: the system's.
# Source: squid.conf.documented; haproxy's configuration.txt; proxy-protocol.txt.
import base64
import collections
import hashlib
import os
import pathlib
import random
import shutil
import socket
import subprocess
import tempfile
import time

from disclosure import CANARY
from outrigger import endpoint

PASSWORD = CANARY.decode()
LOGIN = b"Basic " + base64.b64encode(b"user:" + CANARY)  # what Squid asks for at `guarded`
START_SECONDS_MAX = 20
SQUID = """
http_port 127.0.0.1:{clear} name=clear
http_port 127.0.0.1:{guarded} name=guarded
https_port 127.0.0.1:{secure} name=secure tls-cert={certificate.both}
https_port 127.0.0.1:{mutual} name=mutual tls-cert={certificate.both} clientca={clients}
tls_outgoing_options cafile={trust}
auth_param digest program /usr/lib/squid/digest_file_auth -c {folder}/digest
auth_param digest children 1
auth_param digest realm Test
auth_param basic program /usr/lib/squid/basic_ncsa_auth {folder}/users
auth_param basic children 1
auth_param basic realm Test
acl guarded myportname guarded
acl users proxy_auth REQUIRED
acl forbidden dstdomain forbidden.test
acl loopback src 127.0.0.0/8
http_access deny forbidden
http_access deny guarded !users
http_access allow loopback
http_access deny all
cache deny all
cache_mem 1 MB
hosts_file {folder}/hosts
dns_nameservers 127.0.0.1
logformat short %la:%lp %>p %rm %ru %>Hs %un
access_log stdio:{folder}/access.log short
cache_log {folder}/cache.log
cache_store_log none
pid_filename none
netdb_filename none
coredump_dir {folder}
pinger_enable off
shutdown_lifetime 0 seconds
client_persistent_connections on
visible_hostname squid.test
max_filedescriptors 1024
{user}
"""
Access = collections.namedtuple("Access", "listener client_port method target status user")


def wait_until_it_accepts(process, port, words):
    """Servers do not say when they are ready: this asks repeatedly."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return False
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.005)
    raise AssertionError(words())


def free_ports(count):
    """Ports below those that the kernel gives out; who finds one taken after all asks again."""
    ports = []
    while len(ports) < count:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with socket.socket() as probe:
            if port not in ports and probe.connect_ex(("127.0.0.1", port)) != 0:
                ports.append(port)
    return ports


class Squid:
    """`clear`, `guarded` (Basic and Digest: "user", PASSWORD), `secure` (TLS) and `mutual` (TLS, both show one)."""

    PORTS = "clear", "guarded", "secure", "mutual"

    def __init__(self, certificates):
        self.certificates = certificates

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="outrigger-squid-"))
        self.service = f"outrigger{os.getpid()}"  # in the names of its shared memory, which it leaves behind
        names = "origin.test", "wild.test", "a.wild.test", "peer.test"
        (self.folder / "hosts").write_text("".join(f"127.0.0.1 {name}\n" for name in names))
        digest = subprocess.run(
            ["openssl", "passwd", "-apr1", PASSWORD], capture_output=True, check=True
        ).stdout
        (self.folder / "users").write_text("user:" + digest.decode())
        known = hashlib.md5(f"user:Test:{PASSWORD}".encode()).hexdigest()
        (self.folder / "digest").write_text(f"user:Test:{known}\n")
        as_root = os.getuid() == 0
        if as_root:
            for path in self.folder, *self.folder.iterdir():
                shutil.chown(path, "proxy", "proxy")
        for _ in range(10):
            ports = dict(zip(self.PORTS, free_ports(len(self.PORTS))))
            if self.start(ports, "cache_effective_user proxy" if as_root else ""):
                break
        else:
            raise AssertionError(self.words())
        for name, port in ports.items():
            setattr(self, name, endpoint("127.0.0.1", port))
        self.ports = ports
        return self

    def start(self, ports, user):
        text = SQUID.format(folder=self.folder, certificate=self.certificates.peer, user=user,
                            trust=self.certificates.file, clients=self.certificates.file,
                            **ports)  # fmt: skip
        (self.folder / "squid.conf").write_text(text)
        command = [shutil.which("squid") or "/usr/sbin/squid", "-N", "-n", self.service, "-f"]
        with open(self.folder / "output", "wb") as output:
            self.process = subprocess.Popen([*command, self.folder / "squid.conf"], stdin=subprocess.DEVNULL,
                                            stdout=output, stderr=output)  # fmt: skip
        ready = wait_until_it_accepts(self.process, ports["mutual"], self.words)
        return ready and "Cannot open" not in self.words()

    def words(self):
        return "".join((self.folder / name).read_text(errors="replace") for name in ("output", "cache.log")
                       if (self.folder / name).exists())  # fmt: skip

    def log(self):
        """What it was asked for, in the order in which that ended."""
        path = self.folder / "access.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [Access(*line.split(" ")) for line in lines]

    def __exit__(self, *_):
        self.process.kill()  # its shutdown takes a second; it keeps nothing
        self.process.wait(10)
        for path in pathlib.Path("/dev/shm").glob(f"{self.service}-*"):
            path.unlink()
        shutil.rmtree(self.folder, ignore_errors=True)


HAPROXY = """
global
    maxconn 200
defaults
    mode http
    timeout client 30s
    timeout server 30s
    timeout connect 30s
    timeout http-keep-alive 30s
frontend receiver
    bind fd@{clear} accept-proxy
    bind fd@{clear6} accept-proxy
    bind fd@{secure} accept-proxy ssl crt {certificate.both} alpn http/1.1
    http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst] %[dst_port]"
"""


class Haproxy:
    """`clear`, `clear6` (IPv6) and `secure` want a PROXY header; the answer is the addresses that it had."""

    def __init__(self, certificates):
        self.certificates = certificates

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="outrigger-haproxy-"))
        listeners = {"clear": "127.0.0.1", "clear6": "::1", "secure": "127.0.0.1"}
        sockets = {}
        for name, host in listeners.items():
            sockets[name] = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            sockets[name].bind((host, 0))
            sockets[name].listen(128)  # connections are taken from now on
            sockets[name].set_inheritable(True)
            setattr(self, name, endpoint(host, sockets[name].getsockname()[1]))
        numbers = {name: one.fileno() for name, one in sockets.items()}
        (self.folder / "haproxy.cfg").write_text(
            HAPROXY.format(certificate=self.certificates.good, **numbers)
        )
        with open(self.folder / "output", "wb") as output:
            self.process = subprocess.Popen(
                [shutil.which("haproxy") or "/usr/sbin/haproxy", "-db", "-f", self.folder / "haproxy.cfg"],
                pass_fds=numbers.values(), stdout=output, stderr=output,
                stdin=subprocess.DEVNULL)  # fmt: skip
        for one in sockets.values():
            one.close()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)
