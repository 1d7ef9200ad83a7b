"""The origin and the proxies that Outrigger is compared with, each with one worker and the settings that suit it best.

All of them keep their connections to the origin open, write no access log and stream bodies. Which buffers suit a proxy
best depends on the work and on the machine, so with bodies each runs in several variants and the best one counts. No variant of HAProxy
and nginx has more than 256 KiB of buffers for a connection and direction, which is what Outrigger's default credit lets it
hold. HAProxy's splicing was tried too, and never was the best.
"""

import json
import os
import subprocess
import urllib.request

from processes import find_program, free_port, wait_for

FOREVER = 1_000_000_000
# What all speak over TLS, and the name that the origin's certificate is for.
CIPHER_SUITE = "TLS_AES_128_GCM_SHA256"
SERVER_NAME = "origin.bench.example"
# Handshakes of a measurement that may be full ones: those of its first moment.
FULL_SHARE_MAX = 0.01


def nginx_main(folder, workers):
    """The part of an nginx configuration that keeps it inside `folder`."""
    user = "user root;" if os.geteuid() == 0 else ""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"  {kind}_temp_path {folder}/{kind};" for kind in kinds)
    return f"""daemon off; {user} worker_processes {workers}; pid {folder}/pid; error_log {folder}/error.log crit;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; accept_mutex off; }}
http {{
  access_log off; keepalive_timeout 3600s; keepalive_requests {FOREVER}; tcp_nodelay on; client_max_body_size 0;
  open_file_cache max=16 inactive=1h; open_file_cache_valid 1h;
{temporary}
"""


def make_certificate(place):
    """An authority and the certificate of SERVER_NAME, both with keys of P-256; returns the authority's file."""
    folder = place.folder / "tls"
    folder.mkdir()
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
    authority = ["-keyout", folder / "ca.key", "-out", folder / "ca.pem", "-subj", "/CN=bench authority"]
    server = ["-keyout", folder / "server.key", "-out", folder / "server.pem", "-subj", f"/CN={SERVER_NAME}"]
    server += ["-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-addext", f"subjectAltName=DNS:{SERVER_NAME}"]
    server += ["-addext", "basicConstraints=critical,CA:FALSE"]
    for rest in (authority, server):
        subprocess.run([*new, *rest], check=True, capture_output=True)
    return folder / "ca.pem"


class Origin:
    """nginx with two workers: empty replies, files of 64 KiB and 8 MiB, and a place that reads request bodies.

    All of it over clear text and over TLS 1.3; at /close a connection ends with its reply.
    """

    def __init__(self, place):
        folder = place.folder / "origin"
        for name, count in (("64k", 65_536), ("8m", 8_388_608)):
            place.file(f"origin/files/{name}", "x" * count)
        self.port = free_port()
        self.tls_port = free_port()
        self.status_port = free_port()
        self.authority = make_certificate(place)
        self.handshakes = folder / "handshakes.log"
        tls = place.folder / "tls"
        # "mirror" is what makes nginx read a request's body to its end before it answers; a file may not be posted to.
        text = nginx_main(folder, 2) + f"""  log_format handshake "$ssl_session_reused";
  server {{
    listen 127.0.0.1:{self.port} backlog=4096;
    listen 127.0.0.1:{self.tls_port} ssl backlog=4096;
    ssl_certificate {tls}/server.pem; ssl_certificate_key {tls}/server.key; ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites {CIPHER_SUITE}; ssl_session_cache shared:all:8m; ssl_session_timeout 1h;
    sendfile on; client_body_buffer_size 128k;
    location = /empty {{ return 200 ""; }}
    location = /close {{ keepalive_timeout 0; access_log {self.handshakes} handshake; return 200 ""; }}
    location = /sink {{ mirror /nothing; alias {folder}/files/64k; error_page 405 =200 @done; }}
    location = /nothing {{ internal; return 204; }}
    location @done {{ return 200 ""; }}
    location / {{ root {folder}/files; }}
  }}
  server {{ listen 127.0.0.1:{self.status_port}; location / {{ stub_status; }} }}
}}
"""
        config = place.file("origin/nginx.conf", text)
        self.process = place.start("origin", [find_program("nginx"), "-p", folder, "-c", config])
        wait_for(self.process, self.port)

    def forget_handshakes(self):
        """Lets `check_resumed` count from here."""
        os.truncate(self.handshakes, 0)

    def check_resumed(self):
        """Raises when too many handshakes, each with a request, were full ones."""
        lines = self.handshakes.read_text(encoding="ascii").split()
        full = lines.count(".")
        if full > len(lines) * FULL_SHARE_MAX:
            raise RuntimeError(f"{full} of {len(lines)} handshakes were not resumed")

    def requests(self):
        """Requests it has begun since it started, those for this number left out."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.status_port}/", timeout=5) as reply:
            self.asked = getattr(self, "asked", 0) + 1
            return int(reply.read().split(b"\n")[2].split()[2]) - self.asked


class NGINX:
    """nginx as a reverse proxy."""

    name = "nginx"
    speaks_tls = False
    variants = {
        "default buffers": "",
        "4 buffers of 64 KiB": "proxy_buffer_size 64k; proxy_buffers 4 64k; proxy_busy_buffers_size 128k;",
        "no buffering, 256 KiB": "proxy_buffering off; proxy_buffer_size 256k; proxy_buffers 4 256k;",
    }

    @staticmethod
    def find(_):
        """The program, if it is installed."""
        return find_program("nginx")

    def __init__(self, place, program, origin, variant):
        self.port = free_port()
        name = f"nginx-{self.port}"
        folder = place.folder / name
        text = nginx_main(folder, 1) + f"""  proxy_max_temp_file_size 0; proxy_request_buffering off;
  upstream origin {{
    server 127.0.0.1:{origin.port}; keepalive 512; keepalive_requests {FOREVER}; keepalive_timeout 3600s;
  }}
  server {{
    listen 127.0.0.1:{self.port} backlog=4096; client_body_buffer_size 64k;
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; {self.variants[variant]}
    }}
  }}
}}
"""
        config = place.file(f"{name}/nginx.conf", text)
        self.process = place.start(name, [program, "-p", folder, "-c", config])
        wait_for(self.process, self.port)


class HAProxy:
    """HAProxy with one thread."""

    name = "HAProxy"
    variants = {"16 KiB": "tune.bufsize 16384", "128 KiB": "tune.bufsize 131072"}
    speaks_tls = True

    @staticmethod
    def find(_):
        """The program, if it is installed."""
        return find_program("haproxy")

    def __init__(self, place, program, origin, variant, is_tls=False):
        self.port = free_port()
        server = f"127.0.0.1:{origin.port}"
        if is_tls:
            server = f"127.0.0.1:{origin.tls_port} ssl verify required ca-file {origin.authority} alpn http/1.1"
            server += f" sni str({SERVER_NAME}) verifyhost {SERVER_NAME} force-tlsv13 ciphersuites {CIPHER_SUITE}"
        text = f"""global
  nbthread 1
  maxconn 4096
  {self.variants[variant]}
defaults
  mode http
  http-reuse always
  option http-keep-alive
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
frontend front
  bind 127.0.0.1:{self.port} backlog 4096
  default_backend origin
backend origin
  server origin {server} pool-max-conn -1 pool-purge-delay 1h
"""
        config = place.file(f"haproxy-{self.port}.cfg", text)
        self.process = place.start(f"haproxy-{self.port}", [program, "-db", "-f", config])
        wait_for(self.process, self.port)


class Envoy:
    """Envoy with one worker thread."""

    name = "Envoy"
    speaks_tls = False
    # per_connection_buffer_limit_bytes; the larger one is Envoy's default.
    variants = {"128 KiB": 131_072, "1 MiB": 1_048_576}

    @staticmethod
    def find(elsewhere):
        """The program, if it is installed."""
        return find_program("envoy", *elsewhere)

    def __init__(self, place, program, origin, variant):
        self.port = free_port()
        settings = envoy_config(self.port, origin.port, self.variants[variant])
        config = place.file(f"envoy-{self.port}.json", json.dumps(settings, indent=1))
        options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
        self.process = place.start(f"envoy-{self.port}", [program, "-c", config, *options])
        wait_for(self.process, self.port)


def envoy_config(port, origin_port, buffer_bytes):
    """An HTTP connection manager, a router and one cluster; nothing that costs time and is not needed."""

    def address(number):
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    kinds = "type.googleapis.com/envoy.extensions.filters"
    router = {
        "@type": f"{kinds}.http.router.v3.Router",
        "dynamic_stats": False,
        "suppress_envoy_headers": True,
    }
    manager = {
        "@type": f"{kinds}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "codec_type": "HTTP1",
        "generate_request_id": False,
        "server_header_transformation": "PASS_THROUGH",
        "stream_idle_timeout": "0s",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "origin", "timeout": "0s"}}],
                }
            ]
        },
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
    }
    limits = {"max_connections": 4096, "max_pending_requests": 4096, "max_requests": 4096}
    endpoint = {"endpoint": {"address": address(origin_port)}}
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {
        "static_resources": {
            "listeners": [
                {
                    "name": "front",
                    "address": address(port),
                    "per_connection_buffer_limit_bytes": buffer_bytes,
                    "filter_chains": [{"filters": filters}],
                }
            ],
            "clusters": [
                {
                    "name": "origin",
                    "type": "STATIC",
                    "connect_timeout": "5s",
                    "per_connection_buffer_limit_bytes": buffer_bytes,
                    "circuit_breakers": {"thresholds": [limits]},
                    "load_assignment": {"cluster_name": "origin", "endpoints": [{"lb_endpoints": [endpoint]}]},
                }
            ],
        }
    }


PROXIES = (HAProxy, NGINX, Envoy)
