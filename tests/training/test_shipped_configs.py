"""Every file in configs/ is an experiment that starts: its own model, loss and optimiser, on tiny pictures."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rlepose.config.reading import load_config
from tests.training.running import trainer_of

SHIPPED = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
# Those for lifting stand in tests/tasks/test_lifting.py.
SHIPPED = [path for path in SHIPPED if load_config(path).task == "top_down"]
# These have files of their own layout, and a smaller backbone to be quick; all others train on the synthetic ones.
DATA_OF_CONFIG = {
    "coco_wholebody_res50_rle": "coco_wholebody",
    "hand21_res50_rle": "coco_hands",
    "halpe26_res50_rle": "halpe26",
    "crowdpose_res50_rle": "crowdpose",
    "ap10k_res50_rle": "ap10k",
}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_two_steps_of_a_shipped_config_move_every_weight(
    path: Path, synthetic: Path, synthetic_3d: Path, dataset_files: Callable[[str], Path], tmp_path: Path
) -> None:
    if path.stem in DATA_OF_CONFIG:
        data = [f"data.root={dataset_files(DATA_OF_CONFIG[path.stem])}", "model.backbone.name=resnet18"]
        data += ["train.batch_size=2"]
    elif load_config(path).dims == 3:
        # Two of each kind: from one crop of 32 px, 1×1 after the backbone, batch statistics cannot be had.
        data = [f"data={{root: {synthetic_3d}, cache: none}}", "train.batch_size=4"]
    else:
        data = [
            f"data={{root: {synthetic}, num_keypoints: 17, cache: none}}",
            "data.train_annotations=annotations/person_keypoints_train.json",
            "data.val_annotations=annotations/person_keypoints_val.json",
            "data={train_images: train, val_images: val, group_key: null, oks_sigmas: null}",
            "eval={pck_reference: box, nme_reference: null}",
            "train.select_by=null",
            "train.batch_size=2",
        ]
    config = load_config(
        path,
        [
            *data,
            # In 1×1 pixels batch statistics take the biases of an EfficientNet's blocks out again.
            f"data.input_size_hw={[64, 64] if 'lite0' in path.stem else [32, 32]}",
            "model={init_from: null, backbone: {pretrained: false, weights: null}}",
            "system={workers: 0, device: cpu, precision: float32}",
            f"output_dir={tmp_path}",
        ],
    )
    trainer = trainer_of(config)
    before = [parameter.detach().clone() for parameter in trainer.parameters]
    trainer.step_module.train()
    for _, batch in zip(range(2), trainer.task.loader, strict=False):
        loss, taken, *_ = trainer.step(batch)
        assert loss.isfinite() and taken == 1
    after = trainer.step_module.named_parameters()
    assert [name for (name, new), old in zip(after, before, strict=True) if new.equal(old)] == []
