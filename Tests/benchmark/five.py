"""Five origins of which four go wrong one after the other, and proxies that balance over them.

Origins are nginx, named a to e: one is killed, one is stopped and stalls, one begins to reset, one is slow all the
time, one is well. Every proxy may retry GETs, waits a second for a reply, and takes members out that fail.
"""

import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path

from processes import find_program, free_port, wait_for
from proxies import nginx_main

NAMES = "abcde"
KILLED, STALLED, RESETTING, SLOW, WELL = NAMES
SLOW_SECONDS = 0.05
REPLY_SECONDS_MAX = 1


class Five:
    """The origins."""

    def __init__(self, place, slow_port):
        self.place, self.slow_port = place, slow_port
        self.ports = {name: free_port() for name in NAMES}
        self.processes = {}
        for name in NAMES:
            place.file(f"{name}/nginx.conf", self.text(name))
            self.processes[name] = place.start(name, [find_program("nginx"), "-p", place.folder / name, "-c", self.config(name)])
        for name in NAMES:
            wait_for(self.processes[name], self.ports[name])

    def config(self, name):
        """Where the configuration of an origin is."""
        return self.place.folder / name / "nginx.conf"

    def text(self, name, resets=False):
        """The configuration of an origin."""
        folder = self.place.folder / name
        place = 'return 200 "ok";'
        if resets:
            # 444 closes; with this it closes with a reset.
            place = "return 444;"
        elif name == SLOW:
            place = f"proxy_pass http://127.0.0.1:{self.slow_port};"
        return nginx_main(folder, 1) + f"""  reset_timedout_connection on;
  server {{
    listen 127.0.0.1:{self.ports[name]} backlog=1024; add_header X-Origin {name}; default_type text/plain;
    location / {{ {place} }}
  }}
}}
"""

    def workers(self, name):
        """The processes of an origin, the master last."""
        return self.processes[name].pids()[::-1]

    def kill(self):
        """One is gone from now on."""
        for pid in self.workers(KILLED):
            os.kill(pid, signal.SIGKILL)

    def stall(self):
        """One takes connections and says nothing: the kernel takes them, nobody else does."""
        for pid in self.workers(STALLED):
            os.kill(pid, signal.SIGSTOP)

    def reset(self):
        """One resets each connection on which it is asked, and those that it has."""
        self.config(RESETTING).write_text(self.text(RESETTING, resets=True), encoding="utf-8")
        os.kill(self.processes[RESETTING].pid, signal.SIGHUP)

    def wake(self):
        """A stopped process cannot be ended with a SIGTERM."""
        for pid in self.workers(STALLED):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


class SlowServer:
    """What is behind the slow origin."""

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def serve(self, reader, writer):
        """One request, one answer, some time between them."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(SLOW_SECONDS)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            await writer.drain()
        writer.close()


class HTTPClient:
    """One who asks a proxy over HTTP/1.1, over one connection for as long as that lasts."""

    def __init__(self, port):
        self.port, self.writer = port, None

    async def get(self):
        """The name of the origin that served, or None when the request failed."""
        try:
            if self.writer is None:
                self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
            self.writer.write(b"GET / HTTP/1.1\r\nHost: five.example\r\n\r\n")
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
            await self.reader.readexactly(int(fields["content-length"]))
            if fields.get("connection") == "close":
                self.close()
            return fields.get("x-origin") if head[0].split(" ")[1] == "200" else None
        except (asyncio.IncompleteReadError, ConnectionError, KeyError):
            self.close()
            return None

    def close(self):
        """Another connection from here on."""
        if self.writer:
            self.writer.close()
        self.writer = None


class FrameClient:
    """One who asks Outrigger, as one of many streams of a session."""

    def __init__(self, session, request):
        self.session, self.request = session, request

    async def get(self):
        """The name of the origin that served, or None when the request failed."""
        answer = await self.session.exchange(self.request)
        is_well = answer.end.outcome == 1 and answer.reply.status == 200
        return answer.end.member if is_well else None

    def close(self):
        """The session is everybody's."""


def outrigger_config(place, five):
    """A group of the five."""
    members = "".join(f'      - {{name: {name}, endpoint: "127.0.0.1:{port}"}}\n' for name, port in five.ports.items())
    text = f"""limits: {{first-byte-milliseconds: {REPLY_SECONDS_MAX * 1000}, connect-milliseconds: 1000}}
groups:
  five:
    policy: peak-ewma
    members:
{members}    ejection: {{dial-failures: 3, reply-failures: 3}}
    retry: {{attempts-max: 4}}
"""
    return place.file("outrigger.yaml", text)


def haproxy_config(place, five, port):
    """Least connections, three retries elsewhere, three errors in a row take a server out."""
    servers = "\n".join(f"  server {name} 127.0.0.1:{number}" for name, number in five.ports.items())
    text = f"""global
  nbthread 1
defaults
  mode http
  http-reuse always
  timeout connect 1s
  timeout client 1h
  timeout server {REPLY_SECONDS_MAX}s
  timeout queue 10s
frontend front
  bind 127.0.0.1:{port}
  default_backend five
backend five
  balance leastconn
  option redispatch 1
  retries 3
  retry-on conn-failure empty-response response-timeout
  default-server check inter 500ms fall 2 rise 2 observe layer7 error-limit 3 on-error mark-down
{servers}
"""
    return place.file("haproxy.cfg", text)


def envoy_config(place, five, port):
    """Least request of two, three retries on hosts that were not tried, three failures in a row eject a host."""

    def address(number):
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    kinds = "type.googleapis.com/envoy.extensions.filters"
    retry = {
        "retry_on": "connect-failure,reset,gateway-error,retriable-status-codes",
        "num_retries": 3,
        "per_try_timeout": f"{REPLY_SECONDS_MAX}s",
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                },
            }
        ],
        "host_selection_retry_max_attempts": 5,
    }
    route = {"match": {"prefix": "/"}, "route": {"cluster": "five", "timeout": "0s", "retry_policy": retry}}
    manager = {
        "@type": f"{kinds}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "codec_type": "HTTP1",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{kinds}.http.router.v3.Router"},
            }
        ],
    }
    limits = {"max_connections": 4096, "max_pending_requests": 4096, "max_requests": 4096, "max_retries": 4096}
    endpoints = [{"endpoint": {"address": address(number)}} for number in five.ports.values()]
    cluster = {
        "name": "five",
        "type": "STATIC",
        "connect_timeout": "1s",
        "lb_policy": "LEAST_REQUEST",
        "circuit_breakers": {"thresholds": [limits]},
        "outlier_detection": {
            "consecutive_5xx": 3,
            "consecutive_gateway_failure": 3,
            "split_external_local_origin_errors": True,
            "consecutive_local_origin_failure": 3,
            "interval": "0.5s",
            "base_ejection_time": "30s",
            "max_ejection_percent": 75,
        },
        "load_assignment": {"cluster_name": "five", "endpoints": [{"lb_endpoints": endpoints}]},
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    listener = {"name": "front", "address": address(port), "filter_chains": [{"filters": filters}]}
    settings = {"static_resources": {"listeners": [listener], "clusters": [cluster]}}
    return Path(place.file("envoy.json", json.dumps(settings, indent=1)))
