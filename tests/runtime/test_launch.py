"""Ranks that cannot come together are told why, in one sentence."""

import re
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rlepose.errors import InputError
from rlepose.runtime.launch import Launch, read_launch

CONFIG = "configs/synthetic_res18_rle.yaml"
MEETING = {"MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}


@pytest.mark.parametrize(
    ("environment", "launch"),
    [
        ({}, Launch(0, 1)),
        ({"WORLD_SIZE": "1"}, Launch(0, 1)),
        ({"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"}, Launch(0, 1, 0)),
        ({"WORLD_SIZE": "8", "RANK": "5", "LOCAL_RANK": "1", **MEETING}, Launch(5, 8, 1)),
        (MEETING, Launch(0, 1)),
    ],
)
def test_a_whole_environment_says_which_rank_this_is(environment: dict[str, str], launch: Launch) -> None:
    assert read_launch(environment) == launch


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        (
            {"WORLD_SIZE": "2"},
            "WORLD_SIZE: the environment has WORLD_SIZE=2, but no RANK; start the ranks with torchrun",
        ),
        ({"RANK": "1"}, "RANK: the environment has RANK=1, but no WORLD_SIZE; start the ranks with torchrun"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "but no MASTER_ADDR and no MASTER_PORT, where the ranks meet"),
        ({"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "a"}, "WORLD_SIZE=2, but no MASTER_PORT, where"),
        (
            {"WORLD_SIZE": "two", "RANK": "0"},
            "WORLD_SIZE: the environment has WORLD_SIZE='two', which is no whole number",
        ),
        ({"WORLD_SIZE": "2", "RANK": "-1"}, "RANK: the environment has RANK='-1', which is no whole number"),
        ({"WORLD_SIZE": "2", "RANK": "2", **MEETING}, "RANK: 2: 2 ranks (WORLD_SIZE) count from 0 to 1"),
        ({"WORLD_SIZE": "", "RANK": "0"}, "WORLD_SIZE: the environment has WORLD_SIZE='', which is no whole number"),
        ({"WORLD_SIZE": "2", "RANK": "0", **MEETING, "MASTER_PORT": "70000"}, "MASTER_PORT: 70000 is no port"),
    ],
)
def test_a_part_of_an_environment_is_refused(environment: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        read_launch(environment)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def start_rank(run_python: Callable[..., Any]) -> Callable[..., Any]:
    """start_rank(rank, port): one of two ranks, which waits for the other for a second, as a script would."""
    code = """
from rlepose.errors import run_script
from rlepose.runtime.distributed import ranks
from rlepose.runtime.options import SystemConfig

def main():
    with ranks(SystemConfig(device="cpu", timeout_s=1)):
        pass

run_script(main)
"""

    def start(rank: int, port: int) -> Any:
        number = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
        return run_python(code, **number, MASTER_ADDR="localhost", MASTER_PORT=str(port))

    return start


def test_a_port_that_is_taken_is_named(start_rank: Callable[..., Any], taken_port: int) -> None:
    result = start_rank(0, taken_port)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert f"error: MASTER_PORT: port {taken_port} is taken, perhaps by another run on this machine" in result.stderr


def free_port() -> int:
    with socket.create_server(("", 0)) as server:
        return int(server.getsockname()[1])


def test_rank_0_says_how_many_came(start_rank: Callable[..., Any]) -> None:
    result = start_rank(0, free_port())
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "error: only 1 of 2 ranks came to MASTER_ADDR=localhost" in result.stderr
    assert "raise system.timeout_s" in result.stderr


@pytest.mark.parametrize("port", ["free", "taken"])
def test_another_rank_that_meets_nobody_says_so(start_rank: Callable[..., Any], port: str, taken_port: int) -> None:
    result = start_rank(1, taken_port if port == "taken" else free_port())
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "[rank 1] error: rank 1 met no others to" not in result.stderr
    assert "[rank 1] error: rank 1 met no others at MASTER_ADDR=localhost" in result.stderr
