# kerberos.py: an MIT KDC of the tests' own, and tokens of its principals.
# Owns: one krb5kdc process, its folder, database and port. Never touches: the system's Kerberos.
# Source: krb5.conf(5), kdc.conf(5), kadmin(1); RFC 4559; RFC 4178.
import base64
import os
import pathlib
import shutil
import subprocess
import tempfile

from proxies import free_ports, wait_until_it_accepts

REALM = "OUTRIGGER.TEST"
CLIENT = """
[libdefaults]
    default_realm = {realm}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false
    udp_preference_limit = 1
[realms]
    {realm} = {{
        kdc = 127.0.0.1:{port}
    }}
"""
SERVER = """
[kdcdefaults]
    kdc_listen = 127.0.0.1:{port}
    kdc_tcp_listen = 127.0.0.1:{port}
[realms]
    {realm} = {{
        database_name = {folder}/principal
        key_stash_file = {folder}/stash
        acl_file = {folder}/acl
        admin_keytab = {folder}/admin.keytab
    }}
[logging]
    kdc = FILE:{folder}/kdc.log
"""
# Debian's python3-gssapi is for Debian's Python. One fresh token on each line, for each line that it reads.
TOKENS = """
import base64, gssapi, sys
name = gssapi.Name("HTTP@" + sys.argv[1], gssapi.NameType.hostbased_service)
spnego = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
for _ in range(int(sys.argv[2])):
    print(base64.b64encode(gssapi.SecurityContext(name=name, mech=spnego, usage="initiate").step()).decode())
"""


class Kerberos:
    """`keytab` is that of HTTP/SERVER; `environment` is for processes that are to use this KDC."""

    def __init__(self, server, users):
        self.server, self.users = server, users  # users: name to password

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="outrigger-kerberos-"))
        self.folder.chmod(0o755)  # the server that has the keytab is another user's
        self.keytab = self.folder / "http.keytab"
        self.environment = {
            "KRB5_CONFIG": f"{self.folder}/krb5.conf",
            "KRB5_KDC_PROFILE": f"{self.folder}/kdc.conf",
            "KRB5RCACHENAME": "none:",
        }
        for _ in range(10):
            (self.port,) = free_ports(1)
            if self.start():
                break
        else:
            raise AssertionError(self.words())
        return self

    def run(self, *command, input="", **more):
        done = subprocess.run(command, env={**os.environ, **self.environment, **more}, input=input,
                              capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def start(self):
        for name, text in ("krb5.conf", CLIENT), ("kdc.conf", SERVER):
            (self.folder / name).write_text(text.format(folder=self.folder, realm=REALM, port=self.port))
        if not self.keytab.exists():
            self.fill()
        with open(self.folder / "output", "wb") as output:
            self.process = subprocess.Popen(
                [shutil.which("krb5kdc") or "/usr/sbin/krb5kdc", "-n"],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL, stdout=output, stderr=output)  # fmt: skip
        return wait_until_it_accepts(self.process, self.port, self.words)

    def fill(self):
        self.run("/usr/sbin/kdb5_util", "create", "-s", "-r", REALM, "-P", "of the tests")
        commands = [f"addprinc -pw {password} {user}" for user, password in self.users.items()]
        for host in self.server, "127.0.0.1":  # a peer without a name is asked for by its address
            commands += [f"addprinc -randkey HTTP/{host}", f"ktadd -k {self.keytab} HTTP/{host}"]
        self.run("/usr/sbin/kadmin.local", "-r", REALM, input="\n".join(commands) + "\n")
        self.keytab.chmod(0o644)

    def tokens(self, user, count=1):
        """Values of an Authorization field, each good for one use."""
        cache = {"KRB5CCNAME": f"FILE:{self.folder}/cache-{user}"}
        self.run("kinit", user, input=self.users[user] + "\n", **cache)
        text = self.run("/usr/bin/python3", "-c", TOKENS, self.server, str(count), **cache)
        values = [b"Negotiate " + line.encode() for line in text.split()]
        assert len(values) == count and all(base64.b64decode(value[10:]) for value in values)
        return values

    def words(self):
        return "".join((self.folder / name).read_text(errors="replace") for name in ("output", "kdc.log")
                       if (self.folder / name).exists())  # fmt: skip

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)
