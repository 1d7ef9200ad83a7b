# test_outages.py: five origins under load, four of which go wrong. Source: issue 5, "Proof".
import asyncio
import pathlib
import sys

import pytest

from world import surroundings

OUTAGES = pathlib.Path(__file__).parent.parent / "outages"


@pytest.mark.alone
async def test_no_request_fails_while_four_of_five_origins_go_wrong_and_the_slow_one_gets_less(executable):
    command = [sys.executable, OUTAGES, "--outrigger", executable, "--alone", "--seconds", "8"]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=-2, env=surroundings()
    )
    words, _ = await process.communicate()
    assert process.returncode == 0, words.decode()
