import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rlepose.config.config import Config
from rlepose.datasets.crops import PoseDataset
from rlepose.runtime.distributed import Ranks
from rlepose.training.profiling import StepTimes, device_seconds
from rlepose.training.trainer import TopDownStep, train
from tests.training.running import experiment_of

ALONE = Ranks(0, 1, torch.device("cpu"))


def slowed(monkeypatch: pytest.MonkeyPatch, owner: type, method: str, seconds: float) -> None:
    honest = getattr(owner, method)

    def slow(*arguments: Any) -> Any:
        time.sleep(seconds)
        return honest(*arguments)

    monkeypatch.setattr(owner, method, slow)


@pytest.mark.parametrize(
    ("owner", "method", "seconds", "bottleneck"),
    [(PoseDataset, "__getitem__", 0.2, "loader"), (TopDownStep, "forward", 1.0, "device")],
)
def test_a_profiled_run_tells_the_bottleneck_and_leaves_a_trace_alone(
    tiny_config: Callable[..., Config],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    owner: type,
    method: str,
    seconds: float,
    bottleneck: str,
) -> None:
    slowed(monkeypatch, owner, method, seconds)
    config = tiny_config("train.batch_size=4")
    with caplog.at_level("INFO"):
        train(config, ALONE, profile=1)
    told = [record.message for record in caplog.records if record.message.startswith("bottleneck")]
    assert len(told) == 1
    assert told[0].startswith(f"bottleneck      {bottleneck}: of a step of ")
    experiment = experiment_of(config)
    names = {event.get("name") for event in json.loads(experiment.trace.read_text())["traceEvents"]}
    assert "aten::convolution" in names
    assert not experiment.last.exists()
    experiment.check(resume=False, overwrite=False)  # a run may follow under the same name


@pytest.mark.parametrize(
    ("times", "bottleneck"),
    [
        (StepTimes(1.0, loader=0.02, host=0.97, device=0.95), "device"),  # a full queue: launching waits
        (StepTimes(1.0, loader=0.7, host=0.2, device=0.4), "loader"),
        (StepTimes(1.0, loader=0.1, host=0.9, device=0.6), "host"),
        (StepTimes(1.0, loader=0.4, host=0.0, device=0.6), "device"),
    ],
)
def test_the_bottleneck_is_what_a_step_waits_for_longest(times: StepTimes, bottleneck: str) -> None:
    assert times.bottleneck == bottleneck


def test_what_a_gpu_does_at_once_counts_once(tmp_path: Path) -> None:
    events = [
        {"cat": "kernel", "ts": 0, "dur": 100},
        {"cat": "gpu_memcpy", "ts": 50, "dur": 100},  # in another stream
        {"cat": "kernel", "ts": 60, "dur": 10},
        {"cat": "kernel", "ts": 500, "dur": 50},
        {"cat": "cpu_op", "ts": 0, "dur": 1000},
        {"cat": "gpu_user_annotation", "ts": 0, "dur": 1000},
        {"name": "process_name"},
    ]
    path = tmp_path / "trace.json"
    path.write_text(json.dumps({"traceEvents": events}))
    assert device_seconds(path) == pytest.approx(200e-6)
