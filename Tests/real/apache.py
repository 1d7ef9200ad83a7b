# apache.py: Apache as an origin that wants to know who asks: Basic, Digest, NTLM and Negotiate.
# Owns: one apache2 process, its folder, port and users. Never touches: the system's Apache.
# Source: httpd.apache.org/docs/2.4/mod; README of mod_auth_gssapi; gss-ntlmssp's NTLM_USER_FILE.
import collections
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

from outrigger import endpoint
from proxies import free_ports, wait_until_it_accepts
from world import CANARY, until

PASSWORD = CANARY.decode()
REALM = "realm one"
USERS = "alice", "bob"  # with PASSWORD and their name behind it, in the domain TEST for NTLM
MODULES = """mpm_event authz_core authz_user authn_core authn_file auth_basic auth_digest auth_gssapi
reflector mime alias""".split()
CONFIGURATION = """
ServerName origin.test
ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile {folder}/pid
Listen 127.0.0.1:{port}
{user}
{modules}
TypesConfig /dev/null
KeepAlive On
KeepAliveTimeout 60
MaxKeepAliveRequests 0
StartServers 1
ServerLimit 1
ThreadLimit 64
ThreadsPerChild 64
MaxRequestWorkers 64
MinSpareThreads 1
MaxSpareThreads 64
ErrorLog {folder}/error.log
LogFormat "%{{remote}}p %m %U %>s %u %k" short
CustomLog {folder}/access.log short
DocumentRoot {folder}/files
<Directory {folder}/files>
    Require all granted
</Directory>
<Location /basic>
    AuthType Basic
    AuthName "{realm}"
    AuthUserFile {folder}/basic
    Require valid-user
</Location>
<Location /digest>
    AuthType Digest
    AuthName "{realm}"
    AuthDigestProvider file
    AuthDigestQop auth
    AuthUserFile {folder}/digest
    Require valid-user
</Location>
<LocationMatch "^/(basic|digest|ntlm)/echo$">
    SetHandler reflector
</LocationMatch>
<Location /ntlm>
    AuthType GSSAPI
    AuthName "{realm}"
    GssapiConnectionBound On
    GssapiAllowedMech ntlmssp
    Require valid-user
</Location>
{more}
"""
# `connection`: the port and how often it was used for one: ports come again.
Access = collections.namedtuple("Access", "client_port method path status user connection")


class Apache:
    """`/basic`, `/digest` and `/ntlm`, each with a file `index`; a POST to `echo` there comes back."""

    def __init__(self, more="", environment=None):
        self.more, self.environment = more, environment or {}

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="outrigger-apache-"))
        self.folder.chmod(0o755)  # its workers are another user's
        self.make_files()
        for _ in range(10):
            (self.port,) = free_ports(1)
            if self.start():
                break
        else:
            raise AssertionError(self.words())
        self.endpoint = endpoint("127.0.0.1", self.port)
        return self

    def make_files(self):
        for name in "basic", "digest", "ntlm", "kerberos":
            (self.folder / "files" / name).mkdir(parents=True)
            (self.folder / "files" / name / "index").write_text(f"of {name}")
        lines = collections.defaultdict(str)
        for user in USERS:
            hidden = subprocess.run(
                ["openssl", "passwd", "-apr1", password(user)], capture_output=True, check=True, text=True
            ).stdout
            lines["basic"] += f"{user}:{hidden}"
            known = hashlib.md5(f"{user}:{REALM}:{password(user)}".encode()).hexdigest()
            lines["digest"] += f"{user}:{REALM}:{known}\n"
            lines["ntlm"] += f"TEST:{user}:{password(user)}\n"
        for name, text in lines.items():
            (self.folder / name).write_text(text)

    def start(self):
        modules = (f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n" for name in MODULES)
        as_root = "User www-data\nGroup www-data" if os.getuid() == 0 else ""
        text = CONFIGURATION.format(folder=self.folder, port=self.port, user=as_root, realm=REALM,
                                    modules="".join(modules), more=self.more)  # fmt: skip
        (self.folder / "httpd.conf").write_text(text)
        with open(self.folder / "output", "wb") as output:
            self.process = subprocess.Popen(
                [shutil.which("apache2") or "/usr/sbin/apache2", "-d", self.folder, "-f", "httpd.conf",
                 "-D", "FOREGROUND"],
                env={**os.environ, "NTLM_USER_FILE": f"{self.folder}/ntlm", **self.environment},
                stdin=subprocess.DEVNULL, stdout=output, stderr=output)  # fmt: skip
        return wait_until_it_accepts(self.process, self.port, self.words)

    def words(self):
        return "".join((self.folder / name).read_text(errors="replace") for name in ("output", "error.log")
                       if (self.folder / name).exists())  # fmt: skip

    def log(self):
        """What it was asked for so far; it writes a line behind its reply."""
        path = self.folder / "access.log"
        lines = path.read_text().splitlines() if path.exists() else []
        domain = r"TEST\\"  # in front of NTLM's users, its backslash escaped
        uses, found = collections.Counter(), []
        for line in lines:
            port, *fields, requests_before = line.replace(domain, "").split(" ")
            uses[port] += requests_before == "0"
            found.append(Access(port, *fields, f"{port} {uses[port]}"))
        return found

    async def logged(self, count, *statuses):
        """The log, once it has so many lines, of these statuses where some are given."""

        def found():
            return sum(line.status in (statuses or (line.status,)) for line in self.log())

        await until(lambda: found() >= count, lambda: f"{count} lines, but {found()}")
        return self.log()

    def __exit__(self, *_):
        self.process.terminate()  # it ends its workers; killed, it would leave them behind
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)


def password(user):
    return PASSWORD + user
