"""Every file in configs/ is an experiment that starts: its own model, loss and optimiser, on tiny pictures."""

from pathlib import Path

import pytest
import torch

from rlepose.config_reading import load_config
from rlepose.engine.distributed import Ranks
from rlepose.engine.trainer import Trainer

SHIPPED = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_two_steps_of_a_shipped_config_move_every_weight(
    path: Path, synthetic: Path, synthetic_3d: Path, tmp_path: Path
) -> None:
    data = {
        2: [
            f"data={{root: {synthetic}, num_keypoints: 17, input_size_hw: [32, 32], cache: none}}",
            "data.train_annotations=annotations/person_keypoints_train.json",
            "data.val_annotations=annotations/person_keypoints_val.json",
            "data={train_images: train, val_images: val}",
            "eval.pck_reference=box",
            "train.batch_size=2",
        ],
        # Two of each kind: from one crop of 32 px, 1×1 after the backbone, batch statistics cannot be had.
        3: [f"data={{root: {synthetic_3d}, input_size_hw: [32, 32], cache: none}}", "train.batch_size=4"],
    }
    config = load_config(
        path,
        [
            *data[load_config(path).dims],
            "model={init_from: null, backbone: {pretrained: false}}",
            "system={workers: 0, device: cpu, precision: float32}",
            f"output_dir={tmp_path}",
        ],
    )
    trainer = Trainer(config, Ranks(0, 1, torch.device("cpu")))
    before = [parameter.detach().clone() for parameter in trainer.parameters]
    trainer.step_module.train()
    for _, batch in zip(range(2), trainer.loader, strict=False):
        loss, taken = trainer.step({name: value for name, value in batch.items() if isinstance(value, torch.Tensor)})
        assert loss.isfinite() and taken == 1
    after = trainer.step_module.named_parameters()
    assert [name for (name, new), old in zip(after, before, strict=True) if new.equal(old)] == []
