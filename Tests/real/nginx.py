# nginx.py: a real origin with its own configuration, on ports and in a folder of its own.
# Owns: one nginx process. Never touches: the system's nginx.
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

from outrigger import endpoint

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
    }}
}}
"""


def pattern(count):
    """`count` bytes in which every 8-byte word is different."""
    return b"".join(word.to_bytes(8, "big") for word in range((count + 7) // 8))[:count]


class Nginx:
    """`endpoint`, `endpoint6` and `endpoint_unix` lead to the same server; `files` has what it serves."""

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="outrigger-nginx-"))
        self.folder.chmod(0o755)  # its workers are nobody's
        self.contents = {name: pattern(size) for name, size in SIZES.items()}
        (self.folder / "files" / "upload").mkdir(parents=True)
        (self.folder / "files" / "upload").chmod(0o777)
        for name, content in self.contents.items():
            (self.folder / "files" / name).write_bytes(content)
        sockets = [socket.socket(family) for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)]
        sockets[0].bind(("127.0.0.1", 0))
        sockets[1].bind(("::1", 0))
        sockets[2].bind(f"{self.folder}/nginx.sock")
        os.chmod(f"{self.folder}/nginx.sock", 0o777)
        ports = [one.getsockname()[1] for one in sockets[:2]]
        for one in sockets:  # nginx inherits them, so that they take connections from now on
            one.listen(1024)
            one.set_inheritable(True)
        configuration = CONFIGURATION.format(folder=self.folder, port=ports[0], port6=ports[1])
        (self.folder / "nginx.conf").write_text(configuration)
        numbers = "".join(f"{one.fileno()};" for one in sockets)
        self.process = subprocess.Popen(
            [shutil.which("nginx") or "/usr/sbin/nginx", "-p", self.folder, "-c", self.folder / "nginx.conf"],
            env={**os.environ, "NGINX": numbers},
            pass_fds=[one.fileno() for one in sockets],
            stderr=subprocess.DEVNULL,
        )
        for one in sockets:
            one.close()
        self.endpoint = endpoint("127.0.0.1", ports[0])
        self.endpoint6 = endpoint("::1", ports[1])
        self.endpoint_unix = endpoint(f"{self.folder}/nginx.sock")
        self.port = ports[0]
        return self

    def uploaded(self, name):
        return (self.folder / "files" / "upload" / name).read_bytes()

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)
