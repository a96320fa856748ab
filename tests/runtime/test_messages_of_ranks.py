"""Which of several ranks under torchrun prints a message."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

# The ranks stay until both are through, so that torchrun ends neither before the other's message.
PROGRAM = """
import os, sys, time
from pathlib import Path
from rlepose.errors import InputError, LostRankError, run_script
rank = int(os.environ["RANK"])

def wait_for(other):
    while not Path(sys.argv[1], str(other)).exists():
        time.sleep(0.05)

def main():
    {body}

try:
    run_script(main)
finally:
    Path(sys.argv[1], str(rank)).touch()
    wait_for(1 - rank)
"""

Printed = Callable[[str], str]


@pytest.fixture
def printed(tmp_path: Path) -> Printed:
    """printed(body of main) -> what two ranks print to stderr."""

    def run(body: str) -> str:
        program = tmp_path / "program.py"
        program.write_text(PROGRAM.format(body=body))
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        command = [sys.executable, *launcher, str(program), str(tmp_path)]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
        return subprocess.run(command, env=environment, capture_output=True, text=True).stderr

    return run


def test_a_message_that_all_ranks_have_is_printed_once_however_slow_they_are_to_exit(printed: Printed) -> None:
    assert printed('raise InputError("wrong option")').count("error: wrong option") == 1


def test_a_message_of_one_rank_alone_is_printed_with_its_number(printed: Printed) -> None:
    text = printed('raise InputError(f"wrong file {rank}")')
    assert "error: wrong file 0" in text and "[rank 1] error: wrong file 1" in text


def test_a_rank_that_lost_another_is_silent_after_the_message_of_the_other(printed: Printed) -> None:
    text = printed('rank and wait_for(0); raise LostRankError("gone") if rank else InputError("wrong file")')
    assert "error: wrong file" in text and "gone" not in text
