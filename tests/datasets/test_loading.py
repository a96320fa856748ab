"""Workers that do not answer, cannot send or are gone: whoever waits for them gets a sentence."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from rlepose.config.config import Config
from rlepose.datasets.batches import EvalBatches
from rlepose.datasets.loading import WatchedLoader, make_loader
from rlepose.errors import MachineError
from rlepose.runtime.lost_processes import told_in_one_sentence
from tests.training.running import task_of, trainer_of

Act = Callable[[], object]


@pytest.fixture
def loader(tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> Callable[..., WatchedLoader]:
    """loader(act, limit_s): two workers, of which one calls `act` before it loads the fourth of six batches."""

    def make(act: Act, limit_s: float = 60) -> WatchedLoader:
        dataset = task_of(trainer_of(tiny_config())).dataset
        load = type(dataset).__getitem__

        def strange(data: Any, key: tuple[int, int]) -> dict[str, Any]:
            changed = act() if key[1] == 6 else None
            item = load(data, key)
            return item if changed is None else item | {"problem": changed}

        monkeypatch.setattr(type(dataset), "__getitem__", strange)
        return make_loader(dataset, EvalBatches(np.arange(12), 2), 2, False, limit_s)

    return make


def none_is_left(processes: list[Any]) -> bool:
    return all(process.exitcode is not None for process in processes)


def sentence_of(loader: WatchedLoader) -> str:
    with pytest.raises(MachineError) as caught, told_in_one_sentence():
        for _ in loader:
            pass
    assert none_is_left(loader._workers)
    return str(caught.value)


def test_a_worker_that_never_answers_ends_the_wait(loader: Callable[..., WatchedLoader]) -> None:
    sentence = sentence_of(loader(lambda: time.sleep(1000), limit_s=1))
    assert "no batch came within system.worker_timeout_s=1 s from the 2 workers" in sentence
    assert "system.workers=0" in sentence


def test_a_worker_that_is_halted_with_batches_on_their_way_ends_the_wait(
    loader: Callable[..., WatchedLoader],
) -> None:
    # Its socket takes the question for a batch's memory, and nobody answers.
    assert "no batch came within" in sentence_of(loader(lambda: os.kill(os.getpid(), signal.SIGSTOP), limit_s=1))


def test_a_batch_that_cannot_be_sent_ends_the_wait_at_once(loader: Callable[..., WatchedLoader]) -> None:
    sentence = sentence_of(loader(lambda: lambda: None))
    assert "could not send its batch (" in sentence and "pickle" in sentence


def test_a_full_shared_memory_is_named_when_it_fills_up_later(
    loader: Callable[..., WatchedLoader], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def full(storage: Any) -> Any:
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)")

    made = loader(lambda: None)
    monkeypatch.setattr(torch.UntypedStorage, "_share_fd_cpu_", full)
    sentence = sentence_of(made)
    assert "could not send its batch (unable to allocate shared memory" in sentence and "--shm-size" in sentence


@pytest.mark.parametrize(
    ("number", "words"),
    [(signal.SIGKILL, "memory of the machine or container is full"), (signal.SIGBUS, "--shm-size"), (None, "is gone")],
)
def test_a_worker_that_dies_is_named(
    loader: Callable[..., WatchedLoader], number: signal.Signals | None, words: str
) -> None:
    def die() -> None:
        if number is None:
            os._exit(0)
        signal.signal(number, signal.SIG_DFL) if number != signal.SIGKILL else None
        os.kill(os.getpid(), number)

    sentence = sentence_of(loader(die))
    assert words in sentence and "DataLoader worker (pid" in sentence


def test_a_loader_that_was_ended_leaves_no_alarm_behind(loader: Callable[..., WatchedLoader]) -> None:
    before = signal.getsignal(signal.SIGALRM)
    assert len(list(loader(lambda: None))) == 6
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) is before


def test_a_worker_that_dies_while_its_batch_is_taken_is_named(
    loader: Callable[..., WatchedLoader], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = loader(lambda: None)

    def reset(self: Any) -> None:
        os.kill(made._workers[1].pid, signal.SIGKILL)
        raise ConnectionResetError(104, "Connection reset by peer")

    monkeypatch.setattr(_MultiProcessingDataLoaderIter, "_next_data", reset)
    assert "memory of the machine or container is full" in sentence_of(made)


def test_an_interrupted_wait_ends_the_workers(loader: Callable[..., WatchedLoader]) -> None:
    main = os.getpid()
    made = loader(lambda: os.kill(main, signal.SIGINT) or time.sleep(1000))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore Ctrl-C
    try:
        with pytest.raises(KeyboardInterrupt):
            list(made)
    finally:
        signal.signal(signal.SIGINT, before)
    assert none_is_left(made._workers) and not multiprocessing.active_children()


def test_a_run_ends_though_a_worker_is_halted(run_python: Callable[..., Any], tmp_path: Path) -> None:
    """Python waits without a limit for processes that it started."""
    code = """
import os, signal
from torch.utils.data import Dataset
from rlepose.datasets import loading
loader = loading.WatchedLoader(list(range(8)), num_workers=2, persistent_workers=True, limit_s=60,
                               worker_init_fn=loading._prepare_worker)
for _ in loader: pass
os.kill(loader._workers[0].pid, signal.SIGSTOP)
print("done")
"""
    result = run_python(code)
    assert result.stdout == "done\n" and result.returncode == 0, result.stderr
