# nginx.py: a real origin with its own configuration, on ports and in a folder of its own.
# Owns: one nginx process. Never touches: the system's nginx.
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

from disclosure import CANARY
from outrigger import endpoint

PASSWORD = CANARY.decode()
SIZES = {"1k": 1 << 10, "64k": 64 << 10, "8m": 8 << 20}
CONFIGURATION = """
daemon off;
worker_processes 1;
error_log {folder}/error.log notice;
pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    default_type application/octet-stream;
    keepalive_timeout 60s;
    keepalive_requests 1000000;
    client_max_body_size 0;
    client_body_buffer_size 16k;
    {servers}
}}
"""
SERVER = """
    server {{
        listen 127.0.0.1:{port};
        listen [::1]:{port6};
        listen unix:{folder}/nginx.sock;
        root {folder}/files;
        location = /empty {{ return 204; }}
        location = /moved {{ return 302 http://elsewhere.test/; }}
        location = /not-modified {{ return 304; }}
        location /upload/ {{
            dav_methods PUT DELETE;
            create_full_put_path on;
        }}
        location /small-only/ {{
            client_max_body_size 1k;
            dav_methods PUT;
        }}
        location /chunked/ {{
            alias {folder}/files/;
            sub_filter_types *;
            sub_filter "no such text in these files" "";
        }}
        location /hint/ {{
            alias {folder}/files/;
            keepalive_timeout 60s 2s;
        }}
        location /once/ {{
            alias {folder}/files/;
            keepalive_timeout 0;
        }}
        location /private/ {{
            alias {folder}/files/;
            dav_methods PUT;
            auth_basic "Test";
            auth_basic_user_file {folder}/users;
        }}
    }}
"""
SECURE_SERVER = """
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate.path};
        ssl_certificate_key {certificate.key};
        {lines}
        root {folder}/files;
        location = /facts {{
            return 200 "$ssl_protocol|$ssl_cipher|$ssl_alpn_protocol|$ssl_server_name|$ssl_session_reused|$ssl_client_s_dn";
        }}
        location = /once {{
            keepalive_timeout 0;
            return 200 "$ssl_session_reused";
        }}
        location /upload/ {{
            dav_methods PUT;
            create_full_put_path on;
        }}
    }}
"""


def pattern(count):
    """`count` bytes in which every 8-byte word is different."""
    return b"".join(word.to_bytes(8, "big") for word in range((count + 7) // 8))[:count]


class Nginx:
    """`endpoint`, `endpoint6` and `endpoint_unix` lead to the same server; `files` has what it serves."""

    def __enter__(self):
        self.make_files()
        sockets = [socket.socket(family) for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)]
        sockets[0].bind(("127.0.0.1", 0))
        sockets[1].bind(("::1", 0))
        sockets[2].bind(f"{self.folder}/nginx.sock")
        os.chmod(f"{self.folder}/nginx.sock", 0o777)
        ports = [one.getsockname()[1] for one in sockets[:2]]
        self.launch(SERVER.format(folder=self.folder, port=ports[0], port6=ports[1]), sockets)
        self.endpoint = endpoint("127.0.0.1", ports[0])
        self.endpoint6 = endpoint("::1", ports[1])
        self.endpoint_unix = endpoint(f"{self.folder}/nginx.sock")
        self.port = ports[0]
        return self

    def make_files(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="outrigger-nginx-"))
        self.folder.chmod(0o755)  # its workers are nobody's
        self.contents = {name: pattern(size) for name, size in SIZES.items()}
        (self.folder / "files" / "upload").mkdir(parents=True)
        (self.folder / "files" / "upload").chmod(0o777)
        (self.folder / "users").write_text(f"user:{{PLAIN}}{PASSWORD}\n")
        for name, content in self.contents.items():
            (self.folder / "files" / name).write_bytes(content)

    def launch(self, servers, sockets):
        """Starts the process, which inherits the sockets, so that they take connections from now on."""
        for one in sockets:
            one.listen(1024)
            one.set_inheritable(True)
        (self.folder / "nginx.conf").write_text(CONFIGURATION.format(folder=self.folder, servers=servers))
        numbers = "".join(f"{one.fileno()};" for one in sockets)
        self.process = subprocess.Popen(
            [shutil.which("nginx") or "/usr/sbin/nginx", "-p", self.folder, "-c", self.folder / "nginx.conf"],
            env={**os.environ, "NGINX": numbers},
            pass_fds=[one.fileno() for one in sockets],
            stderr=subprocess.DEVNULL,
        )
        for one in sockets:
            one.close()

    def uploaded(self, name):
        return (self.folder / "files" / "upload" / name).read_bytes()

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)


class SecureNginx(Nginx):
    """One listener for each kind of TLS, each an attribute: `v12`, `v13`, `mutual`, and one for each staple."""

    def __init__(self, certificates):
        self.certificates = certificates

    def __enter__(self):
        self.make_files()
        sockets, servers = [], ""
        for name, (certificate, lines) in self.listeners(self.certificates).items():
            sockets.append(socket.socket())
            sockets[-1].bind(("127.0.0.1", 0))
            port = sockets[-1].getsockname()[1]
            setattr(self, name, endpoint("127.0.0.1", port))
            servers += SECURE_SERVER.format(folder=self.folder, port=port, certificate=certificate, lines=lines)
        self.launch(servers, sockets)
        return self

    @staticmethod
    def listeners(certificates):
        good = certificates.good
        client = f"ssl_client_certificate {certificates.file}; ssl_verify_client on; ssl_verify_depth 3;"
        rows = {
            "v12": (good, "ssl_protocols TLSv1.2;"),
            "v13": (good, "ssl_protocols TLSv1.3;"),
            "mutual12": (good, client + "ssl_protocols TLSv1.2;"),
            "mutual": (good, client + "ssl_protocols TLSv1.2 TLSv1.3;"),
        }
        for name in "good", "stale", "of_another", "forged":
            rows[f"staple_{name}"] = good, staple(getattr(certificates, f"staple_{name}"))
        rows["staple_revoked"] = certificates.revoked, staple(certificates.staple_revoked)
        return rows


def staple(file):
    return f"ssl_stapling on; ssl_stapling_file {file}; ssl_protocols TLSv1.2 TLSv1.3;"
