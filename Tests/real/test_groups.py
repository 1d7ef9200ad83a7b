# test_groups.py: groups of real servers: who serves, who is left alone, what is tried again.
# Source: issue "Groups"; proto/outrigger.proto, Request.group and Request.balancing.
import asyncio
import collections
import json
import os
import pathlib
import signal

import pytest

from nginx import Nginx
from origin import answering, reply
from outrigger import pb
from test_administration import got
from test_commands import DATA, NO_INPUT, run
from test_profiles import configured
from tls import server_context
from world import ask, attempts, get, outcome, until

EJECTION = "ejection: {dial-failures: 3, reply-failures: 3, base-milliseconds: 60000}"


def place(endpoint):
    return f"{'.'.join(str(byte) for byte in endpoint.ip)}:{endpoint.port}"


def group(members, *settings):
    """A configuration with the group "g" of members by name."""
    lines = "".join(f"      - {{name: {name}, endpoint: '{place(endpoint)}'}}\n" for name, endpoint in members.items())
    return f"groups:\n  g:\n    members:\n{lines}" + "".join(f"    {line}\n" for line in settings)


def trusting(certificates):
    return f"tls: {{default: {{trust: {{file: {certificates.file}}}}}}}\n"


def again(world, text):
    """Has the sidecar read another configuration."""
    with open(f"{world.folder}/outrigger.yaml", "w") as file:
        file.write(text)
    world.sidecar.process.send_signal(signal.SIGHUP)


def from_group(target="/", method="GET", **more):
    return ask(method, [], target, group="g", **more)


async def many(session, count, width=8, make=from_group):
    """`count` exchanges, `width` at a time."""
    answers, left = [], iter(range(count))

    async def client():
        for _ in left:
            answers.append(await session.exchange(make()))

    await asyncio.gather(*(client() for _ in range(width)))
    return answers


def served(answers):
    """How many each member served."""
    return collections.Counter(answer.end.member for answer in answers)


def kill(nginx):
    """Its workers first, which would outlive it; while it stands still, so that it starts no others."""
    pid = nginx.process.pid
    nginx.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED)
    for worker in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        os.kill(int(worker), signal.SIGKILL)
    nginx.process.kill()
    nginx.process.wait()


async def resetting(peer):
    """Takes a request and resets."""
    await peer.head()
    peer.reset()


async def silent(peer):
    """Takes a request and says nothing."""
    await peer.head()
    await peer.ended()


async def test_no_get_fails_while_one_member_is_killed_and_one_resets(world):
    resets = await world.origin(resetting)
    world.keeps_connections = True
    with Nginx() as one, Nginx() as two, Nginx() as three:
        members = {"a": one.endpoint, "b": two.endpoint, "c": three.endpoint, "r": resets.endpoint}
        session = await configured(world, group(members, EJECTION))
        make = lambda: from_group("/1k")
        before = await many(session, 100, make=make)
        kill(two)
        after = await many(session, 300, make=make)
        wrong = [str(answer.end) for answer in before + after if outcome(answer) != "COMPLETE"]
        assert not wrong, wrong[:3]
        assert all(answer.reply.status == 200 for answer in before + after)
        assert set(served(before)) == {"a", "b", "c"}
        assert served(after)["a"] > 100 and served(after)["c"] > 100 and served(after)["b"] <= 1
        tries = [attempt for answer in before + after for attempt in answer.end.attempts]
        assert 3 <= sum(attempt.member == "r" for attempt in tries) <= 12, "it is ejected after 3 failures in a row"
        results = {pb.AttemptResult.Name(attempt.result) for attempt in tries if attempt.member == "r"}
        assert results == {"ATTEMPT_EXCHANGE_FAILED"}


async def test_a_post_is_not_sent_twice(world):
    resets = await world.origin(resetting)
    good = await world.origin(answering())
    members = {"r": resets.endpoint, "a": good.endpoint}
    session = await configured(world, group(members, "policy: first"))
    answer = await session.exchange(from_group("/", "POST", length=1), b"x")
    assert outcome(answer) == "RESET" and answer.end.member == "r" and not answer.end.repeatable
    assert not good.peers


async def test_a_dial_that_is_refused_goes_to_the_next_member(world):
    gone, good = await world.origin(), await world.origin(answering())
    gone.server.close()
    await gone.server.wait_closed()
    session = await configured(world, group({"x": gone.endpoint, "a": good.endpoint}, "policy: first"))
    answer = await session.exchange(from_group("/", "POST", length=1), b"x")
    assert outcome(answer) == "COMPLETE" and answer.end.member == "a"
    assert [attempt.member for attempt in answer.end.attempts] == ["x", "a"]


async def test_a_member_that_stands_still_is_passed_over(world):
    still, good = await world.origin(silent), await world.origin(answering())
    session = await configured(world, group({"s": still.endpoint, "a": good.endpoint}, "policy: first", EJECTION))
    make = lambda: from_group("/", deadlines=pb.Deadlines(first_byte_ms=100))
    answers = await many(session, 20, 1, make)
    assert [outcome(answer) for answer in answers] == ["COMPLETE"] * 20
    assert served(answers) == {"a": 20} and len(still.peers) == 3, "ejected after 3 in a row"


async def test_the_request_behind_the_failure_that_ejects_goes_elsewhere(world):
    async def half(peer):
        await peer.head()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        peer.close()

    cut, good = await world.origin(half), await world.origin(answering())
    session = await configured(world, group({"x": cut.endpoint, "a": good.endpoint}, "policy: first", EJECTION))
    answers = await many(session, 6, 1)
    assert [outcome(answer) for answer in answers] == ["TRUNCATED"] * 3 + ["COMPLETE"] * 3
    assert [answer.end.member for answer in answers] == ["x"] * 3 + ["a"] * 3


async def test_the_limit_of_a_member_holds_over_workers_and_who_waits_is_served(world):
    world.flags["workers"] = 2
    open_now, most = 0, 0

    async def slow(peer):
        nonlocal open_now, most
        while True:
            await peer.head()
            open_now += 1
            most = max(most, open_now)
            await asyncio.sleep(0.005)
            open_now -= 1
            await peer.send(reply(b"ok"))

    origin = await world.origin(slow)
    text = group({"a": origin.endpoint}).replace("a, endpoint", "a, connections-max: 3, endpoint")
    sessions = [await configured(world, text), await world.session()]
    answers = await asyncio.gather(*(many(session, 60, 20) for session in sessions))
    assert [outcome(answer) for part in answers for answer in part] == ["COMPLETE"] * 120
    assert most == 3


async def test_a_member_that_fails_its_checks_is_not_asked_until_it_passes_again(world):
    is_well = True

    async def serve(peer):
        while True:
            head = await peer.head()
            sick = head.target == b"/health" and not is_well
            await peer.send(reply(b"", b"503 Sick" if sick else b"200 OK"))

    checked, other = await world.origin(serve), await world.origin(answering())
    check = "check: {kind: http, path: /health, interval-milliseconds: 100, timeout-milliseconds: 1000, rise: 2, fall: 2}"
    members = {"a": checked.endpoint, "b": other.endpoint}
    session = await configured(world, group(members, "policy: first", "slow-start-milliseconds: 0", check))

    async def goes_to(member):
        for _ in range(500):
            answer = await session.exchange(from_group("/work"))
            assert outcome(answer) == "COMPLETE"
            if answer.end.member == member:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"never at {member}")

    await goes_to("a")
    is_well = False
    await goes_to("b")
    is_well = True
    await goes_to("a")


def kinds_of_checks(certificates):
    """How a member of each kind is made well and ill."""
    good, bad = (server_context(one) for one in (certificates.good, certificates.expired))
    sick = answering(reply(b"", b"503 Sick"))
    return {
        "kind: tcp": (None, None, None),
        f"kind: tls, tls: {{trust: {{file: {certificates.file}}}, server-name: origin.test}}": (good, bad, None),
        "kind: https, host: origin.test": (good, good, sick),
    }


@pytest.mark.parametrize("number", range(3), ids=["tcp", "tls", "https"])
async def test_checks_of_all_kinds_take_a_member_out(world, certificates, number):
    kind, (good, bad, sick) = list(kinds_of_checks(certificates).items())[number]
    well = await world.origin(answering(), tls=good)
    ill = await world.origin(sick or answering(), tls=bad)
    if number == 0:
        ill.server.close()
        await ill.server.wait_closed()
    world.flags["admin_socket"] = admin = f"{world.folder}/admin.sock"
    check = f"check: {{{kind}, interval-milliseconds: 100, rise: 1, fall: 2}}"
    text = group({"a": well.endpoint, "x": ill.endpoint}, check)
    await configured(world, trusting(certificates) + text)

    async def states():
        return [one["state"] for one in json.loads(await got(admin, "/groups.json"))[0]["members"]]

    for _ in range(500):
        if (found := await states()) == ["healthy", "down"]:
            return
        await asyncio.sleep(0.01)  # no event tells of it
    raise AssertionError(found)


async def test_members_are_listed_with_health_and_load(world):
    good, gone = await world.origin(answering()), await world.origin()
    gone.server.close()
    await gone.server.wait_closed()
    world.flags["admin_socket"] = admin = f"{world.folder}/admin.sock"
    settings = "ejection: {dial-failures: 1, base-milliseconds: 60000}"
    session = await configured(world, group({"x": gone.endpoint, "a": good.endpoint}, "policy: first", settings))
    assert outcome(await session.exchange(from_group())) == "COMPLETE"
    listed = json.loads(await got(admin, "/groups.json"))
    assert [(one["name"], one["policy"], one["requests"]) for one in listed] == [("g", "first", 0)]
    assert [(one["name"], one["state"]) for one in listed[0]["members"]] == [("x", "ejected"), ("a", "healthy")]
    table = (await got(admin, "/groups")).splitlines()
    assert table[0].split()[:2] == ["GROUP", "POLICY"] and len(table) == 3


async def test_equal_keys_go_to_one_member_and_all_members_are_used(world):
    origins = [await world.origin(answering()) for _ in range(3)]
    members = {name: origin.endpoint for name, origin in zip("abc", origins)}
    session = await configured(world, group(members, "policy: hash"))
    keys = [f"key {number}".encode() for number in range(30)]
    homes = [(await session.exchange(from_group(hash_key=key))).end.member for key in keys]
    again = [(await session.exchange(from_group(hash_key=key))).end.member for key in keys]
    assert homes == again and set(homes) == set("abc")


async def test_weights_are_read_again_at_sighup(world):
    origins = [await world.origin(answering()) for _ in range(2)]
    members = {name: origin.endpoint for name, origin in zip("ab", origins)}
    session = await configured(world, group(members))
    assert served(await many(session, 20, 1)) == {"a": 10, "b": 10}
    again(world, group(members).replace("a, endpoint", "a, weight: 0, endpoint"))
    await until(lambda: "weights" in world.sidecar.words(), "no line in the log")
    await world.barrier(session)
    assert served(await many(session, 20, 1)) == {"b": 20}


async def test_what_sighup_does_not_change_is_said(world):
    origins = [await world.origin(answering()) for _ in range(2)]
    members = {name: origin.endpoint for name, origin in zip("ab", origins)}
    session = await configured(world, group(members))
    again(world, group(members, "policy: first").replace("a, endpoint", "a, weight: 0, endpoint"))
    await until(lambda: "level=warning" in world.sidecar.words(), "no warning in the log")
    assert "groups: g: of what has changed only weights" in world.sidecar.words()
    await world.barrier(session)
    assert served(await many(session, 20, 1)) == {"b": 20}, "the weight is changed all the same"


async def test_a_list_of_endpoints_is_balanced(world):
    origins = [await world.origin(answering()) for _ in range(3)]
    session = await world.session()
    make = lambda: get([origin.endpoint for origin in origins], balancing=pb.BALANCING_ROUND_ROBIN)
    answers = await many(session, 30, 1, make)
    assert served(answers) == {place(origin.endpoint): 10 for origin in origins}


async def test_a_group_that_does_not_exist_is_refused(world):
    session = await world.session()
    answer = await session.exchange(from_group())
    assert outcome(answer) == "BAD_REQUEST" and "group" in answer.end.detail


async def test_idle_connections_are_kept_ready_from_the_start_by_all_workers_together(world):
    origin, more = await world.origin(answering()), await world.origin(answering())
    world.flags["workers"] = 2
    members = {"a": origin.endpoint, "b": more.endpoint}
    session = await configured(world, group(members, "standby-connections-min: 3"))
    await until(lambda: len(origin.peers) == len(more.peers) == 3, "three to each before a request")
    origin.peers[0].close()
    await until(lambda: len(origin.peers) == 4, "one in its place")
    answer = await session.exchange(from_group())
    assert attempts(answer) == ["REUSED"]
    again(world, group(members, "standby-connections-min: 5"))
    await until(lambda: len(origin.peers) == 6 and len(more.peers) == 5, "five to each")


async def test_they_speak_tls_with_the_name_of_the_origin(world, certificates):
    origin = await world.origin(answering(), tls=server_context(certificates.good))
    text = group({"a": origin.endpoint}, "standby-connections-min: 2", "origin: https://origin.test")
    session = await configured(world, trusting(certificates) + text)
    await until(lambda: len(origin.hellos) == 2, "two handshakes before a request")
    assert {hello.server_name for hello in origin.hellos} == {"origin.test"}
    answer = await session.exchange(from_group(scheme=pb.SCHEME_HTTPS))
    assert attempts(answer) == ["REUSED"]


BAD_CERTIFICATES = ["expired", "wrong_name", "untrusted"]


@pytest.mark.parametrize("name", BAD_CERTIFICATES)
async def test_a_member_whose_certificate_is_refused_is_ejected(world, certificates, name):
    bad = await world.origin(answering(), tls=server_context(getattr(certificates, name)))
    good = await world.origin(answering(), tls=server_context(certificates.good))
    members = {"x": bad.endpoint, "a": good.endpoint}
    world.flags["admin_socket"] = admin = f"{world.folder}/admin.sock"
    text = group(members, "policy: first", EJECTION, "back-off: {base-milliseconds: 0}", "origin: https://origin.test")
    session = await configured(world, trusting(certificates) + text)
    make = lambda: from_group(method="POST", length=1, scheme=pb.SCHEME_HTTPS)
    answers = [await session.exchange(make(), b"x") for _ in range(10)]
    assert [outcome(answer) for answer in answers] == ["COMPLETE"] * 10 and served(answers) == {"a": 10}
    tries = [attempt.member for answer in answers for attempt in answer.end.attempts]
    assert tries[:6] == ["x", "a"] * 3 and tries[6:] == ["a"] * 7, "ejected after 3 in a row"
    assert json.loads(await got(admin, "/groups.json"))[0]["members"][0]["state"] == "ejected"


async def test_a_name_or_trust_of_a_request_s_own_ejects_nobody_for_others(world, certificates):
    good = await world.origin(answering(), tls=server_context(certificates.good))
    other = await world.origin(answering(), tls=server_context(certificates.good))
    text = group({"a": good.endpoint, "b": other.endpoint}, EJECTION, "origin: https://origin.test")
    session = await configured(world, trusting(certificates) + text)
    secured = lambda **more: from_group(scheme=pb.SCHEME_HTTPS, **more)
    theirs = [secured(authority="nobody.test"), secured(tls=pb.Tls(trust=pb.TLS_TRUST_FILE, trust_path=certificates.other_file))]
    for wrong in theirs * 5:
        assert outcome(await session.exchange(wrong)) == "TLS_VERIFY"
    assert served(await many(session, 20, 1, secured)) == {"a": 10, "b": 10}


async def test_fetch_asks_a_group_of_a_sidecar_that_runs_and_of_one_of_its_own(world, executable):
    gone, good = await world.origin(), await world.origin(answering(reply(b"from a")))
    gone.server.close()
    await gone.server.wait_closed()
    text = group({"x": gone.endpoint, "a": good.endpoint}, "policy: first")
    await configured(world, text)
    for where in ["--socket", world.sidecar.path], ["--config", f"{world.folder}/outrigger.yaml"]:
        result = await run(executable, "fetch", "-v", "http://origin.test/path", "--group", "g", *where)
        assert (result.code, result.out) == (0, b"from a"), result
        assert "a member of the group g" in result.err
        assert "attempt 1: x REFUSED" in result.err and "attempt 2: a CONNECTED" in result.err, result
    assert [one.line for one in good.requests] == [b"GET /path HTTP/1.1"] * 2
    result = await run(executable, "fetch", "http://origin.test/", "--group", "other", *where)
    assert result.code == DATA and "group" in result.err, result


async def test_fetch_says_what_is_wrong_with_its_configuration(world, executable):
    path = f"{world.folder}/wrong.yaml"
    with open(path, "w") as file:
        file.write("groups: {g: {members: []}}")
    result = await run(executable, "fetch", "http://a/", "--group", "g", "--config", path)
    assert result.code == 78 and f"{path}:1:23: error: groups: g: members" in result.err, result
    result = await run(executable, "fetch", "http://a/", "--group", "g", "--config", "/nowhere")
    assert result.code == NO_INPUT, result
