# test_group_health.py: what failures at a real endpoint mean for groups that have it: back-off, and checks by name.
# Source: issue "Groups"; Sources/Engine/Engine.docc/Groups.md.
import asyncio
import json

import pytest

from origin import answering
from outrigger import pb
from test_administration import got
from test_groups import group, trusting
from test_profiles import configured
from tls import server_context
from world import attempts, get, outcome, until


@pytest.mark.sidecar(workers=4)
async def test_dials_that_fail_keep_all_workers_from_the_endpoint(world):
    good, gone = await world.origin(answering()), await world.origin()
    gone.server.close()
    await gone.server.wait_closed()
    sessions = [await world.session() for _ in range(8)]
    make = lambda: get([gone.endpoint, good.endpoint], balancing=pb.BALANCING_FIRST)
    loop, refusals = asyncio.get_running_loop(), []
    while len(refusals) < 4:
        for session in sessions:
            began = loop.time()
            answer = await session.exchange(make())
            assert outcome(answer) == "COMPLETE"
            if attempts(answer)[0] == "REFUSED":
                refusals.append((began, loop.time()))
                await asyncio.gather(*(world.barrier(other) for other in sessions))  # all have heard of it
    for number, (one, next) in enumerate(zip(refusals, refusals[1:])):
        assert next[1] - one[0] >= 0.08 * 2**number, refusals


@pytest.mark.parametrize("kind", ["tls", "https"])
async def test_a_check_is_for_the_name_of_the_origin(world, certificates, kind):
    right = await world.origin(answering(), tls=server_context(certificates.good))
    wrong = await world.origin(answering(), tls=server_context(certificates.wrong_name))
    world.flags["admin_socket"] = admin = f"{world.folder}/admin.sock"
    check = f"check: {{kind: {kind}, interval-milliseconds: 100, rise: 1, fall: 2}}"
    text = group({"a": right.endpoint, "x": wrong.endpoint}, "origin: https://origin.test", check)
    await configured(world, trusting(certificates) + text)
    await until(lambda: len(right.hellos) >= 4 and len(wrong.hellos) >= 4, "no checks")
    assert {hello.server_name for hello in right.hellos + wrong.hellos} == {"origin.test"}
    listed = json.loads(await got(admin, "/groups.json"))[0]["members"]
    assert [one["state"] for one in listed] == ["healthy", "down"]
