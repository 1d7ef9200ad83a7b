# conftest.py: runs coroutine tests, each in a world of its own, and gives the fixtures.
# Owns: how a test gets its sidecar and nginx. Never touches: frames.
import asyncio
import inspect
import os
import pathlib

import pytest

import disclosure
from apache import Apache
from certificates import Certificates
from nginx import Nginx, SecureNginx
from proxies import Haproxy, Squid
from world import World

TEST_SECONDS_MAX = 60
ROOT = pathlib.Path(__file__).resolve().parents[2]
# A sidecar refuses variables that it does not know, so that one started without `surroundings` fails everywhere alike.
os.environ["OUTRIGGER_OF_THE_TESTS"] = "1"


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Runs `async def` tests under asyncio.run, inside their world when they ask for one."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    long = pyfuncitem.get_closest_marker("alone") is not None

    disclosure.watch.begin()

    async def run():
        async with asyncio.timeout(1800 if long else TEST_SECONDS_MAX):
            if world := arguments.get("world"):
                async with world:
                    await pyfuncitem.obj(**arguments)
            else:
                await pyfuncitem.obj(**arguments)

    asyncio.run(run())
    disclosure.watch.prove()
    return True


@pytest.fixture(scope="session")
def executable():
    path = pathlib.Path(os.environ.get("OUTRIGGER", ROOT / ".build/release/outrigger")).resolve()
    if not path.exists():
        pytest.fail(f"no executable at {path}: build it, or name it in OUTRIGGER", pytrace=False)
    return str(path)


@pytest.fixture
def world(request, executable):
    """A sidecar with the flags of the `sidecar` marker, and whatever upstreams the test makes."""
    flags = {}
    for marker in reversed(list(request.node.iter_markers("sidecar"))):
        flags |= marker.kwargs
    world = World(executable, flags)
    world.keeps_connections = bool({"secure_nginx", "squid", "haproxy", "apache", "lighttpd"} & set(request.fixturenames))
    return world


@pytest.fixture(scope="session")
def nginx():
    with Nginx() as origin:
        yield origin


@pytest.fixture(scope="session")
def certificates():
    with Certificates() as made:
        yield made


@pytest.fixture(scope="session")
def secure_nginx(certificates):
    with SecureNginx(certificates) as origin:
        yield origin


@pytest.fixture(scope="session")
def squid(certificates):
    with Squid(certificates) as parent:
        yield parent


@pytest.fixture(scope="session")
def haproxy(certificates):
    with Haproxy(certificates) as receiver:
        yield receiver


@pytest.fixture
def apache():
    with Apache() as origin:
        yield origin
