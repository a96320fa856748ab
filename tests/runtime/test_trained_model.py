"""What a checkpoint predicts once it is opened."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rlepose.config.reading import with_overrides
from rlepose.errors import InputError
from rlepose.runtime.checkpoint import load_checkpoint
from rlepose.runtime.trained_model import open_checkpoint

CPU = torch.device("cpu")


def test_the_flip_test_takes_the_pairs_of_the_config(checkpoint: Callable[..., Path]) -> None:
    path = checkpoint()
    loaded = load_checkpoint(path)
    image = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    one_pair = with_overrides(loaded.config, ["data.flip_pairs=[[left_eye, right_eye]]"])
    by_name, by_pairs = (open_checkpoint(path, config, loaded, CPU) for config in (loaded.config, one_pair))
    assert list(by_pairs.skeleton.flip_permutation) == [0, 2, 1, *range(3, 17)]
    differ = (by_name.predict(image).mu - by_pairs.predict(image).mu).abs().amax(dim=(0, 2)) > 1e-6
    assert differ.tolist() == [False] * 3 + [True] * 14
    unknown = with_overrides(loaded.config, ["data.flip_pairs=[[left_eye, tail]]"])
    with pytest.raises(InputError, match=r"data\.flip_pairs: .*\.pt has no joint 'tail'; it has nose, left_eye"):
        open_checkpoint(path, unknown, loaded, CPU)
