# tokens.py: fixtures of tests in which the sidecar itself speaks Negotiate and NTLM.
# Owns: which executable: one built with --traits Kerberos, named in OUTRIGGER_KERBEROS; and its Kerberos.
# Never touches: the executable of all other tests.
import os
import pathlib

import pytest

from apache import USERS, password
from kerberos import REALM, Kerberos
from outrigger import pb
from world import World

SERVER = "origin.test"
ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def kerberos():
    with Kerberos(SERVER, {user: password(user) for user in USERS}) as made:
        yield made


@pytest.fixture
def world(request, kerberos):
    path = pathlib.Path(os.environ.get("OUTRIGGER_KERBEROS", ROOT / ".build/debug/outrigger")).resolve()
    if not path.exists():
        pytest.fail(f"no executable at {path}: build it with --traits Kerberos", pytrace=False)
    flags = {}
    for marker in request.node.iter_markers("sidecar"):
        flags |= marker.kwargs
    world = World(str(path), flags)
    cache = {"KRB5CCNAME": f"FILE:{kerberos.folder}/cache-of-the-process"}
    world.environment = kerberos.environment | getattr(request, "param", cache)
    world.keeps_connections = True
    return world


def known(user, scheme, secret=None):
    name = f"TEST\\{user}" if scheme == "NTLM" else user
    return pb.Credential(user=name.encode(), password=(secret or password(user)).encode(), schemes=[scheme])


def name_in_log(user, scheme):
    return f"{user}@{REALM}" if scheme == "Negotiate" else user
