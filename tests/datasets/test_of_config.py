"""From a config to the persons to train on."""

from collections.abc import Callable

import numpy as np

from rlepose.config.config import Config
from rlepose.datasets.of_config import training_dataset


def test_hidden_joints_and_those_outside_the_crop_weigh_what_the_config_says(
    tiny_config: Callable[..., Config],
) -> None:
    config = tiny_config("loss={hidden_weight: 0.5, outside_weight: 0.25}", "data.box_scale=0.6", "augment.scale=0")
    dataset = training_dataset(config)
    items = [dataset[0, person] for person in range(len(dataset))]
    weights = np.stack([item["weight"].numpy() for item in items])[..., 0]
    outside = np.stack([(item["target"].abs() > 0.5).any(dim=1).numpy() for item in items])
    assert set(np.unique(weights[outside])) == {0.125, 0.25}
    assert set(np.unique(weights[~outside])) == {0, 0.5, 1}
