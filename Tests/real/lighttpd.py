# lighttpd.py: lighttpd as an origin that wants Digest with the hash functions that Apache's mod_auth_digest does not have
# (2.4 refuses AuthDigestAlgorithm SHA-256, and MD5-sess too).
# Owns: one lighttpd process, its folder, port and users. Never touches: the system's lighttpd.
# Source: redmine.lighttpd.net, Docs_ModAuth; RFC 7616.
import hashlib
import itertools
import pathlib
import shutil
import subprocess
import tempfile

from disclosure import CANARY
from outrigger import endpoint
from proxies import free_ports, wait_until_it_accepts

PASSWORD = CANARY.decode()
# By folder: algorithm, and whether the user's name is hashed.
FOLDERS = {
    "md5": ("MD5", False),
    "sha-256": ("SHA-256", False),
    "sha-512-256": ("SHA-512-256", False),
    "sha-256-userhash": ("SHA-256", True),
    "sha-512-256-userhash": ("SHA-512-256", True),
    "either": ("MD5|SHA-256", False),
}
USERS = "alice", "bob"
CONFIGURATION = """
server.document-root = "{folder}/files"
server.bind = "127.0.0.1"
server.port = {port}
server.errorlog = "{folder}/error.log"
server.max-keep-alive-idle = 60
server.max-keep-alive-requests = 100000
server.modules = ("mod_auth", "mod_authn_file", "mod_accesslog")
mimetype.assign = ("" => "text/plain")
accesslog.filename = "{folder}/access.log"
accesslog.format = "%{{remote}}p %r %u %>s"
auth.backend = "htdigest"
auth.backend.htdigest.userfile = "{folder}/users"
auth.require = ({rules})
"""
RULE = '"/{path}/" => ("method" => "digest", "realm" => "realm {path}", "require" => "valid-user", "algorithm" => "{algorithm}"{more})'


def hashed(algorithm, *parts):
    function = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}[algorithm]
    return hashlib.new(function, ":".join(parts).encode()).hexdigest()


def password(user):
    return PASSWORD + user


class Lighttpd:
    """A folder for each of FOLDERS, with a file `index`."""

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="outrigger-lighttpd-"))
        for name in FOLDERS:
            (self.folder / "files" / name).mkdir(parents=True)
            (self.folder / "files" / name / "index").write_text(f"of {name}")
        lines = ""
        for folder, (algorithms, _) in FOLDERS.items():
            # A realm each: lighttpd tells SHA-256 and SHA-512/256 of one user and realm apart by their length only.
            realm = f"realm {folder}"
            for user, algorithm in itertools.product(USERS, algorithms.split("|")):
                known = hashed(algorithm, user, realm, password(user))
                lines += f"{user}:{realm}:{known}:{hashed(algorithm, user, realm)}\n"
        (self.folder / "users").write_text(lines)
        for _ in range(10):
            (self.port,) = free_ports(1)
            if self.start():
                break
        else:
            raise AssertionError(self.words())
        self.endpoint = endpoint("127.0.0.1", self.port)
        return self

    def start(self):
        rules = ", ".join(
            RULE.format(path=path, algorithm=algorithm, more=', "userhash" => "enable"' if userhash else "")
            for path, (algorithm, userhash) in FOLDERS.items()
        )
        text = CONFIGURATION.format(folder=self.folder, port=self.port, rules=rules)
        (self.folder / "lighttpd.conf").write_text(text)
        with open(self.folder / "output", "wb") as output:
            self.process = subprocess.Popen(
                [shutil.which("lighttpd") or "/usr/sbin/lighttpd", "-D", "-f", self.folder / "lighttpd.conf"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output)  # fmt: skip
        return wait_until_it_accepts(self.process, self.port, self.words)

    def words(self):
        return "".join((self.folder / name).read_text(errors="replace") for name in ("output", "error.log")
                       if (self.folder / name).exists())  # fmt: skip

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)
