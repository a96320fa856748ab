"""Checkpoints and videos to predict with."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from rlepose.config import Config
from rlepose.engine.checkpoint import Checkpoint, save_checkpoint
from rlepose.evaluation.recalibration import Recalibration
from rlepose.losses import LOSSES, build_criterion
from rlepose.models.pose_model import build_model
from rlepose.skeleton import COCO


@pytest.fixture
def checkpoint(tiny_config: Callable[..., Config], tmp_path: Path) -> Callable[..., Path]:
    """checkpoint('loss.name=l1', …, recalibration=…) -> a file with random weights whose output varies. The loss is
    laplace, which is fast, where nothing else is said."""

    def make(*overrides: str, recalibration: Recalibration | None = None) -> Path:
        config = tiny_config("name=tiny", "loss.name=laplace", *overrides)
        torch.manual_seed(0)
        model = build_model(config.model, 17, LOSSES[config.loss.name].needs_sigma)
        for layer in (model.head.coordinates, model.head.scales):
            if layer is not None:
                torch.nn.init.normal_(layer.weight, std=0.3)
        criterion = build_criterion(config.loss, 17)
        path = tmp_path / "tiny.pt"
        save_checkpoint(
            path, Checkpoint(config, COCO, model.state_dict(), criterion.state_dict(), {}, {}, {}, [], recalibration)
        )
        return path

    return make


@pytest.fixture
def write_video() -> Callable[..., Path]:
    """write_video(path, codec, frames): noise of 64x48 px at 20 frames a second that gets redder by 8 a frame."""

    def write_video(path: Path, codec: str, frames: int) -> Path:
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 20, (64, 48))
        rng = np.random.default_rng(0)
        for number in range(frames):
            frame = rng.integers(0, 50, (48, 64, 3), dtype=np.uint8)
            frame[..., 2] = 8 * number
            writer.write(frame)
        writer.release()
        return path

    return write_video
