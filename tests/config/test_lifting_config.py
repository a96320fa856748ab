"""A config of the task `lifting`: what goes into it, and what it refuses because nothing would read it."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from rlepose.config.config import Config
from rlepose.config.contradictions import contradictions
from rlepose.config.names import option_names
from rlepose.config.reading import config_from_dict, load_config, with_overrides
from rlepose.errors import InputError
from rlepose.models.options import LiftingModelConfig, ModelConfig, TopDownModelConfig

CONFIGS = Path(__file__).parents[2] / "configs"
RLE = CONFIGS / "synthetic_3d_lifting_rle.yaml"


def test_the_drawn_peoples_configs_have_the_values_that_their_numbers_were_measured_with() -> None:
    for loss in ("rle", "l1"):
        config = load_config(CONFIGS / f"synthetic_3d_lifting_{loss}.yaml")
        train = config.train
        assert config.model == LiftingModelConfig(width=1024, blocks=2, dropout=0.1)
        assert (config.loss.name, config.augment.flip_prob, config.eval.flip_test) == (loss, 0.5, True)
        assert (train.epochs, train.batch_size, train.clip_grad_norm, train.clip_grad_by) == (40, 256, 35, "all")
        assert (train.optimizer.name, train.optimizer.lr, train.schedule.name, train.seed) == (
            "adam",
            1e-3,
            "cosine",
            0,
        )
        assert (train.schedule.name, train.schedule.warmup_epochs, train.select_by) == ("cosine", 0, "last")


def test_a_model_without_a_name_is_the_top_down_one() -> None:
    config = config_from_dict({"name": "case", "model": {"backbone": {"name": "resnet18"}}})
    assert isinstance(config.model, TopDownModelConfig) and config.task == "top_down"
    assert load_config(RLE).task == "lifting"


def test_changing_an_option_of_lifting_keeps_the_others() -> None:
    config = with_overrides(load_config(RLE), ["model.width=64"])
    assert config.model == LiftingModelConfig(width=64)
    assert with_overrides(config, ["model.width=1024"]) == load_config(RLE)


def test_what_pixels_were_normalised_by_stays_when_weights_are_changed() -> None:
    """It is no default that a change may leave out: the network was trained with it."""
    trained = with_overrides(Config(name="case"), [])
    changed = with_overrides(trained, ["model.backbone.weights=package"])
    assert changed.top_down.pixel_mean == trained.top_down.pixel_mean


@pytest.mark.parametrize(
    "override",
    [
        "data.input_size_hw=[64, 64]",
        "data.box_scale=1.5",
        "data.extra_annotations=mpii.json",
        "data.cache=raw",
        "data.detections=boxes.json",
        "data.on_bad_image=skip",
        "augment.scale=0.1",
        "augment.occlusion_prob=1",
        "loss.hidden_weight=0.5",
        "loss.outside_weight=1",
        "loss.category_weights={person: 2}",
        "loss.root_depth=true",
        "eval.nme_reference=box",
        "eval.backend=pycocotools",
    ],
)
def test_an_option_that_lifting_does_not_read_is_refused(override: str) -> None:
    name = override.partition("=")[0]
    with pytest.raises(InputError, match=rf"--set: {name}: is not used with model\.name=lifting, .*; remove it"):
        load_config(RLE, [override])


@pytest.mark.parametrize(
    "override",
    ["augment.flip_prob=0", "eval.flip_test=false", "eval.pictures=0", "system.workers=0", "train.accumulate=2"],
)
def test_an_option_that_lifting_reads_or_bears_is_taken(override: str) -> None:
    assert load_config(RLE, [override]) != load_config(RLE)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.format=coco", r"data\.format: lifting needs 3-D labels; set data\.format=h36m"),
        ("loss={name: basic}", r"loss\.name: lifting cannot be trained with the loss basic; use one of l1, l2"),
        ("loss={name: heatmap_mse}", r"loss\.name: lifting cannot be trained with the loss heatmap_mse"),
        ("system.compile=default", r"system\.compile: default is not supported with model\.name=lifting"),
        ("model.backbone.name=resnet18", r"model\.backbone: lifting has no such option; .* set model\.name=top_down"),
    ],
)
def test_what_does_not_go_together_with_lifting_is_refused(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_config(RLE, [override])


@pytest.mark.parametrize(("name", "value"), [("width", 0), ("blocks", -1), ("dropout", 1.0), ("dropout", -0.1)])
def test_numbers_of_the_network_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"model\.{name}: expected at (least|most) .*, got {value}"):
        load_config(RLE, [f"model.{name}={value}"])


def test_a_third_task_is_not_refused_as_lifting() -> None:
    @dataclass(frozen=True)
    class ThirdModelConfig(ModelConfig):
        name: Literal["third"] = "third"

    of_crops = load_config(CONFIGS / "lspet64_rle.yaml")
    third = dataclasses.replace(of_crops, model=ThirdModelConfig())
    assert [name for name, sentence in contradictions(third) if sentence.startswith("lifting")] == []


def test_a_network_of_crops_does_not_have_the_options_of_lifting() -> None:
    with pytest.raises(InputError, match=r"model\.width: top_down has no such option; .* set model\.name=lifting"):
        load_config(CONFIGS / "synthetic_res18_rle.yaml", ["model.width=64"])
    assert {"model.width", "model.blocks", "model.dropout", "model.backbone.name"} <= set(option_names())
