"""Videos to predict with."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture
def write_video() -> Callable[..., Path]:
    """write_video(path, codec, frames, fps): noise of 64x48 px that gets redder by 8 a frame; fps is 20 by default."""

    def write_video(path: Path, codec: str, frames: int, fps: float = 20) -> Path:
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (64, 48))
        rng = np.random.default_rng(0)
        for number in range(frames):
            frame = rng.integers(0, 50, (48, 64, 3), dtype=np.uint8)
            frame[..., 2] = 8 * number
            writer.write(frame)
        writer.release()
        return path

    return write_video
