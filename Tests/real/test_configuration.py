# test_configuration.py: the file, the environment and flags of the real executable: what counts, what is wrong and how
# that is said. What a file may say is tested row by row in Tests/ConfigurationTests. Source: issue "Configuration";
# sysexits.h.
import os
import pathlib
import re

import pytest

from test_commands import run
from conftest import ROOT
from world import CANARY, Sidecar

USAGE, NO_INPUT, CONFIG = 64, 66, 78
SECRET = CANARY.decode()

BAD = """\
socket: outrigger.sock
worker: 2
limits:
  idle-miliseconds: 5
  queue-length-max: many
tls:
  default: {min-version: 1.3, max-version: 1.2}
routes:
  parent:
    kind: direct
    peer-tls: defualt
    connect-fields: {"Proxy-Authorization": "Basic SECRET\\n"}
groups:
  origins:
    policy: roundrobin
    members: ["127.0.0.1:80", {endpoint: "127.0.0.1:81", wieght: 2}]
    check: {kind: tcp, path: /}
"""
WRONG = """\
2:1: error: unknown key 'worker'; did you mean workers?
4:3: error: limits: unknown key 'idle-miliseconds'; did you mean idle-milliseconds?
5:21: error: queue-length-max: 0 to 1000000
7:26: error: tls: default: min-version is above max-version
11:5: error: routes: parent: peer-tls on a route that is direct, where there is no peer
11:15: error: routes: parent: peer-tls: there is no such profile; did you mean default?
12:5: error: routes: parent: connect-fields on a route that is direct, where there is no peer
12:45: error: routes: parent: connect-fields: a value has no line break and no other control character (RFC 9110 §5.5)
15:13: error: groups: origins: policy: one of round-robin, least-connections, power-of-two-choices, peak-ewma, hash, first
16:58: error: groups: origins: members: unknown key 'wieght'; did you mean weight?
17:24: error: groups: origins: check: path is of a check of the kind http or https
"""


@pytest.fixture
def file(tmp_path):
    """Writes a configuration and gives its path."""

    def write(text):
        path = tmp_path / "outrigger.yaml"
        path.write_text(text)
        return str(path)

    return write


# check and serve say the same


@pytest.mark.parametrize("words", [["check"], ["serve", "--config"]], ids=["check", "serve"])
async def test_everything_that_is_wrong_is_said_with_its_place(executable, file, words):
    path = file(BAD.replace("SECRET", SECRET))
    result = await run(executable, *words, path)
    assert result.code == CONFIG and not result.out, result
    assert result.err == "".join(f"{path}:{line}\n" for line in WRONG.splitlines())
    assert SECRET not in result.err


async def test_a_file_that_is_fine_is_said_to_be(executable, file):
    path = file(
        "tls: {a: {}, b: {}}\nroutes: {c: {endpoints: ['127.0.0.1:80']}}\ngroups: {d: {members: ['127.0.0.1:80']}}\n"
    )
    result = await run(executable, "check", path)
    assert (result.code, result.out.decode(), result.err) == (
        0,
        f"{path}: fine: TLS profiles: 2, routes: 1, groups: 1, credentials: 0\n",
        "",
    )


@pytest.mark.parametrize("words", [["check"], ["serve", "--config"]], ids=["check", "serve"])
@pytest.mark.parametrize("path, reason", [("/nowhere/o.yaml", "no such file"), ("/", "it is a folder")])
async def test_a_file_that_cannot_be_read_exits_66(executable, words, path, reason):
    result = await run(executable, *words, path)
    assert (result.code, result.err) == (NO_INPUT, f"outrigger: {path}: {reason}\n"), result
    result = await run(executable, "serve", environment={"OUTRIGGER_CONFIG": path})
    assert (result.code, result.err) == (NO_INPUT, f"outrigger: {path}: {reason}\n"), result


async def test_a_file_that_is_missing_is_a_warning_and_an_error_when_strict(executable, file):
    path = file("tls: {a: {trust: {file: ca.pem}}}\n")
    folder = os.path.dirname(path)
    warning = f"{path}:1:25: warning: tls: a: trust: '{folder}/ca.pem': no such file\n"
    lenient = await run(executable, "check", path)
    strict = await run(executable, "check", "--strict", path)
    assert (lenient.code, lenient.err) == (0, warning) and b"fine" in lenient.out, lenient
    assert (strict.code, strict.err, strict.out) == (CONFIG, warning, b""), strict
    pathlib.Path(folder, "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    assert (await run(executable, "check", "--strict", path)).code == 0


async def test_a_file_through_a_pipe_is_read_once(executable):
    result = await run(executable, "check", "/dev/stdin", stdin=b"worker: 1\n")
    assert result.code == CONFIG and result.err.startswith("/dev/stdin:1:1: error: "), result


# files that we ship


async def test_the_printed_file_is_fine_as_it_stands_and_with_every_setting_uncommented(executable, file):
    printed = await run(executable, "check", "--print-default")
    assert printed.code == 0 and not printed.err
    text = printed.out.decode()
    result = await run(executable, "check", "--strict", file(text))
    assert result.code == 0 and not result.err, result
    path = file(re.sub(r"^( *)#(?! )", r"\1", text, flags=re.M))
    result = await run(executable, "check", path, environment={
        "PEER_AUTHORIZATION": f"Basic {SECRET}", "PARTNER_PASSWORD": SECRET, "API_TOKEN": SECRET})
    assert result.code == 0 and SECRET not in result.err, result
    assert all(": warning: " in line and "no such file" in line for line in result.err.splitlines()), result
    assert b"TLS profiles: 1, routes: 1, groups: 1, credentials: 1" in result.out


async def test_every_limit_of_the_help_is_in_the_printed_file(executable):
    flags = set(re.findall(rb"^  --([\w-]+) <", (await run(executable, "serve", "--help")).out, re.M))
    keys = set(re.findall(rb"^ *#([\w-]+): ", (await run(executable, "check", "--print-default")).out, re.M))
    assert len(flags) > 30 and flags - {b"config"} <= keys


async def test_the_example_is_fine(executable):
    path = ROOT / "deploy/outrigger.yaml"
    result = await run(executable, "check", "--strict", path)
    assert (result.code, result.err) == (0, ""), result
    assert b"TLS profiles: 1, routes: 2, groups: 0, credentials: 0" in result.out


# which of the three counts


@pytest.mark.parametrize(
    "file_says, variable_says, flag_says, counts",
    [
        (None, None, None, 262_144),
        (11, None, None, 11),
        (None, 12, None, 12),
        (None, None, 13, 13),
        (11, 12, None, 12),
        (11, None, 13, 13),
        (None, 12, 13, 13),
        (11, 12, 13, 13),
    ],
)
async def test_variables_are_stronger_than_the_file_and_flags_than_both(
    world, file, file_says, variable_says, flag_says, counts
):
    flags = {"config": file(f"limits: {{initial-credit-bytes: {file_says}}}\n" if file_says else "")}
    if flag_says:
        flags["initial_credit_bytes"] = flag_says
    sidecar = Sidecar(world.executable, world.folder, flags, f"{world.folder}/second.sock")
    if variable_says:
        sidecar.environment["OUTRIGGER_INITIAL_CREDIT_BYTES"] = str(variable_says)
    world.sidecars.append(sidecar)
    await sidecar.launch()
    session = await sidecar.first_session()
    world.sessions.append(session)
    assert session.hello.initial_credit_bytes == counts


@pytest.mark.parametrize("by", ["file", "variables"])
async def test_all_can_be_said_without_a_flag(world, file, by):
    path = f"{world.folder}/second.sock"
    sidecar = Sidecar(world.executable, world.folder, {"socket": None, "workers": None}, path)
    sidecar.environment = {
        "file": {"OUTRIGGER_CONFIG": file(f"socket: {path}\nworkers: 3\nlimits: {{idle-max: 7}}\n")},
        "variables": {"OUTRIGGER_SOCKET": path, "OUTRIGGER_WORKERS": "3", "OUTRIGGER_IDLE_MAX": "7"},
    }[by]
    world.sidecars.append(sidecar)
    await sidecar.start()
    assert "workers=3" in sidecar.words()
    sidecar.terminate()
    assert await sidecar.exited() == 0


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("OUTRIGGER_WORKER", "2", "unknown variable; did you mean OUTRIGGER_WORKERS?"),
        ("OUTRIGGER_IDLE_MILLISECONDS", SECRET, "idle-milliseconds: 0 to 86400000 milliseconds"),
    ],
)
async def test_a_variable_that_is_wrong_exits_78_and_is_named(executable, file, tmp_path, name, value, words):
    socket = tmp_path / "outrigger.sock"
    for command in ["serve", "--socket", socket], ["check", file("")]:
        result = await run(executable, *command, environment={name: value})
        assert (result.code, result.err) == (CONFIG, f"environment: {name}: error: {words}\n"), result
    assert not socket.exists()


async def test_a_wrong_flag_beside_a_wrong_file_exits_78_and_both_are_said(executable, file):
    path = file("worker: 2\n")
    result = await run(executable, "serve", "--config", path, "--socket", "")
    assert result.code == CONFIG, result
    assert [line.split(": error: ")[0] for line in result.err.splitlines()] == [f"{path}:1:1", "--socket"]


# secrets


async def test_secrets_are_taken_and_never_logged(world, file):
    path = file(
        "routes: {r: {kind: peer-tunnel, connect-fields: "
        "{A: " + SECRET + ", B: {env: SECRET_OF_THE_TEST}, C: {file: secret}}}}\n"
    )
    pathlib.Path(os.path.dirname(path), "secret").write_text(SECRET + "\n")
    sidecar = Sidecar(world.executable, world.folder, {"config": path}, f"{world.folder}/second.sock")
    sidecar.environment["SECRET_OF_THE_TEST"] = SECRET
    world.sidecars.append(sidecar)  # whose log is searched for the canary at the end
    await sidecar.start()
    sidecar.terminate()
    assert await sidecar.exited() == 0


async def test_a_warning_is_logged_and_does_not_keep_anybody_from_serving(world, file):
    path = file("tls: {default: {trust: none}}\n")
    sidecar = Sidecar(world.executable, world.folder, {"config": path}, f"{world.folder}/second.sock")
    world.sidecars.append(sidecar)
    await sidecar.start()
    assert f"level=warning event=configuration place={path}:1:24" in sidecar.words()
    assert "ANYONE" in sidecar.words()
