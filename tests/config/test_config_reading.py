"""Reading configs: shipped files, bases, overrides, and what is refused and how."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from rlepose.config.config import Config
from rlepose.config.reading import config_from_dict, load_config, with_overrides
from rlepose.errors import InputError
from rlepose.losses.options import DLEConfig, L1Config, RealNVPConfig, RLEConfig
from rlepose.training.options import CosineConfig

REPOSITORY = Path(__file__).parents[2]
SHIPPED = sorted((REPOSITORY / "configs").glob("*.yaml"))


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def load(folder: Path, text: str, *overrides: str) -> Config:
    return load_config(write(folder / "case.yaml", text), overrides)


# --- shipped files --------------------------------------------------------------------------------------------------


def test_configs_are_shipped() -> None:
    assert SHIPPED


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_config_parses_and_is_named_after_its_file(path: Path) -> None:
    assert load_config(path).name == path.stem


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_config_survives_a_json_dict(path: Path) -> None:
    config = load_config(path)
    assert config_from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_config_survives_yaml(path: Path, tmp_path: Path) -> None:
    config = load_config(path)
    assert load_config(write(tmp_path / "other.yaml", yaml.safe_dump(config.to_dict()))) == config


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, "") == Config(name="case")


# --- base -----------------------------------------------------------------------------------------------------------


def test_a_file_changes_only_what_it_names_of_its_base(tmp_path: Path) -> None:
    write(tmp_path / "shared.yaml", "train: {epochs: 300, batch_size: 32, schedule: {milestones: [100, 200]}}")
    config = load(tmp_path, "base: shared.yaml\ntrain: {batch_size: 64, schedule: {milestones: [50]}}")
    assert (config.train.epochs, config.train.batch_size) == (300, 64)
    assert config.train.schedule.milestones == (50,)


def test_a_base_can_have_a_base(tmp_path: Path) -> None:
    write(tmp_path / "oldest.yaml", "train: {seed: 1, log_every: 7}")
    write(tmp_path / "middle.yaml", "base: oldest.yaml\ntrain: {seed: 2}")
    config = load(tmp_path, "base: middle.yaml")
    assert (config.train.seed, config.train.log_every) == (2, 7)


def test_a_base_is_looked_up_beside_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path / "shared.yaml", "train: {seed: 5}")
    config = load_config(write(tmp_path / "sub" / "case.yaml", "base: ../shared.yaml"))
    assert config.train.seed == 5


@pytest.mark.parametrize("base", ["case.yaml", "other.yaml"])
def test_a_base_that_leads_back_is_refused(tmp_path: Path, base: str) -> None:
    write(tmp_path / "other.yaml", "base: case.yaml")
    with pytest.raises(InputError, match=r"case\.yaml: `base` leads back"):
        load(tmp_path, f"base: {base}")


def test_a_base_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml: cannot read"):
        load(tmp_path, "base: nowhere.yaml")


def test_a_base_that_is_no_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"case\.yaml: base: expected the path"):
        load(tmp_path, "base: [a.yaml, b.yaml]")


@pytest.mark.parametrize("text", ["loss: {name: l1}", "train: {seed: 1}"], ids=["other section", "same section"])
def test_a_mistake_in_a_base_names_the_base(tmp_path: Path, text: str) -> None:
    write(tmp_path / "shared.yaml", "train: {epochs: 0}")
    with pytest.raises(InputError, match=r"shared\.yaml: train\.epochs: expected at least 1, got 0"):
        load(tmp_path, f"base: shared.yaml\n{text}")


# --- overrides ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("train.optimizer.lr=1e-4", 1e-4),
        ("data.input_size_hw=[64, 48]", (64, 48)),
        ("data.detections=boxes.json", "boxes.json"),
        ("train.clip_grad_norm=null", None),
        ("eval.flip_test=false", False),
        ("train.schedule.milestones=[]", ()),
        ("name=3", "3"),
        ("output_dir=exp/run #2: a", "exp/run #2: a"),
        ("name='in quotes'", "in quotes"),
        ("data.detections=null", None),
        ("data.detections=", None),
        ("model.backbone.options={drop_path_rate: 0.1}", {"drop_path_rate": 0.1}),
    ],
)
def test_an_override_sets_its_option(tmp_path: Path, text: str, value: Any) -> None:
    found: Any = load(tmp_path, "train: {clip_grad_norm: 2}\neval: {flip_test: true}", text)
    for key in text.partition("=")[0].split("."):
        found = getattr(found, key)
    assert found == value


def test_an_empty_mapping_takes_away_what_a_base_gives_and_an_empty_section_does_not(tmp_path: Path) -> None:
    text = "model: {backbone: {name: resnet18, options: {channels: [8, 16, 32, 64]}}}"
    assert load(tmp_path, text, "model.backbone.options={}").model.backbone.options == {}
    assert load(tmp_path, text, "model.backbone={options: {}}", "model={}").model.backbone.name == "resnet18"
    more = load(tmp_path, text, "model.backbone.options.drop_path_rate=0.1").model.backbone.options
    assert set(more) == {"channels", "drop_path_rate"}


def test_an_override_changes_nothing_else(tmp_path: Path) -> None:
    plain = load(tmp_path, "train: {batch_size: 12}")
    assert with_overrides(load(tmp_path, "train: {batch_size: 12}", "train.seed=9"), ["train.seed=0"]) == plain


def test_the_last_override_wins(tmp_path: Path) -> None:
    assert load(tmp_path, "train: {seed: 1}", "train.seed=2", "train.seed=3").train.seed == 3


def test_with_overrides_leaves_the_first_config_alone() -> None:
    config = Config(name="case")
    assert with_overrides(config, ["train.seed=4"]).train.seed == 4 and config.train.seed == 0


def test_a_mistake_in_an_override_names_set(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--set: train\.epochs: expected at least 1"):
        load(tmp_path, "train: {epochs: 300}", "train.epochs=0")


def test_a_mistake_beside_an_override_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"case\.yaml: train\.epochs: expected at least 1"):
        load(tmp_path, "train: {epochs: 0}", "train.seed=1")


@pytest.mark.parametrize(
    "text", ["train.epochs", "=3", ".train=3", "train.=3", "train..epochs=3", "train.epochs=[1", "train.epochs={1: 2}"]
)
def test_an_override_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=f"--set {re.escape(text)}: "):
        load(tmp_path, "", text)


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        ("train: {epoch: 3}", "train.epoch", "train.epochs"),
        ("train: {lr: 0.1}", "train.lr", "train.optimizer.lr"),
        ("modell: {backbone: {name: resnet18}}", "modell", None),
        ("train: {optimizer: {momentun: 0.5}}", "train.optimizer.momentun", "train.optimizer.momentum"),
    ],
)
def test_an_unknown_option_is_refused_with_the_nearest_name(
    tmp_path: Path, text: str, key: str, nearest: str | None
) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'case.yaml'}: {key}: no such option")
    if nearest is not None:
        assert str(caught.value).endswith(f"; did you mean {nearest}?")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {epochs: many}", "train.epochs: expected a whole number, got 'many'"),
        ("train: {epochs: 2.5}", "train.epochs: expected a whole number, got 2.5"),
        ("train: {epochs: true}", "train.epochs: expected a whole number, got True"),
        ("train: {epochs: null}", "train.epochs: expected a whole number, got None"),
        ("train: {epochs: .nan}", "train.epochs: expected a whole number, got nan"),
        ("train: {epochs: .inf}", "train.epochs: expected a whole number, got inf"),
        ("train: {optimizer: {lr: fast}}", "train.optimizer.lr: expected a number, got 'fast'"),
        ("train: {optimizer: {lr: true}}", "train.optimizer.lr: expected a number, got True"),
        ("train: {optimizer: {lr: .nan}}", "train.optimizer.lr: expected a finite number"),
        ("train: {optimizer: {lr: .inf}}", "train.optimizer.lr: expected a finite number"),
        ("eval: {flip_test: 1}", "eval.flip_test: expected true or false, got 1"),
        ("data: {root: 3}", "data.root: expected text, got 3"),
        ("data: {input_size_hw: 256}", "data.input_size_hw: expected a list, got 256"),
        ("data: {input_size_hw: [256]}", "data.input_size_hw: expected a list of 2 values, got [256]"),
        ("data: {input_size_hw: [256, a]}", "data.input_size_hw: expected a whole number, got [256, 'a']"),
        ("loss: {name: l3}", "loss.name: expected one of l1, l2, gaussian, laplace, basic, dle, rle, heatmap_mse, got"),
        (
            "model: {backbone: {options: {a:1}}}",
            "model.backbone.options: expected a mapping {name: value}, with a space after the colon, got {'a:1': None}",
        ),
        ("model: {backbone: {options: [1]}}", "model.backbone.options: expected a mapping {name: value}, got [1]"),
        ("train: 3", "train: expected a section with keys, got 3"),
        ("name: a/b", "name: expected a folder name without '/', got 'a/b'"),
        ("name: ..", "name: expected a folder name without '/', got '..'"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"{tmp_path / 'case.yaml'}: {message}")):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "train: {epochs: 200}",
            "train.schedule.milestones: no step is taken at epoch 200, since training",
        ),
        ("train: {schedule: {milestones: [20, 10]}}", "train.schedule.milestones: expected increasing epochs"),
        ("train: {schedule: {milestones: [10, 10]}}", "train.schedule.milestones: expected increasing epochs"),
        ("train: {schedule: {warmup_epochs: 270}}", "train.schedule.warmup_epochs: 270 epochs of warm-up"),
        ("train: {batch_size: 10, accumulate: 4}", "train.batch_size: 10 is not divisible by train.accumulate=4"),
        (
            "{train: {accumulate: 2}, system: {compile: reduce-overhead}}",
            "system.compile: reduce-overhead overwrites",
        ),
        ("data: {num_keypoints: 3, oks_sigmas: [0.1, 0.1]}", "data.oks_sigmas: expected 3 values"),
        ("train: {optimizer: {momentum: 0.5}}", "train.optimizer.momentum: adam has no such option"),
        ("loss: {name: dle, form: paper}", "loss.form: dle has no such option; remove it, or set loss.name=rle"),
        ("loss: {name: l1, flow: {per_joint: true}}", "loss.flow: l1 has no such option"),
        ("loss: {q: gaussian}", "loss.q: q and q_scale are only for loss.form=paper"),
        ("loss: {name: dle, q_scale: 2}", "loss.q_scale: dle has no such option"),
        (
            "loss: {name: basic, flow: {base: laplace}}",
            "loss.flow.base: with loss.name=basic, the base is the",
        ),
        ("loss: {flow: {name: nsf, masks: [[0, 1]]}}", "loss.flow.masks: nsf has no such option"),
        ("model: {backbone: {pretrained: false, weights: a.pth}}", "model.backbone.weights: has no effect with"),
        (
            "model: {init_from: a.pt, backbone: {weights: a.pth}}",
            "model.init_from: model.backbone.weights is also set",
        ),
        ("data: {extra_annotations: a.json}", "data.extra_images: is missing"),
        ("data: {extra_annotations: a.json, extra_images: a}", "data.extra_annotations: is for 3-D data"),
        ("loss: {root_depth: true}", "loss.root_depth: is for 3-D data"),
        ("data: {extra_box_scale: 1.25}", "data.extra_box_scale: is for 3-D data"),
        ("{model: {head: {name: integral, depth_bins: 8}}}", "model.head.depth_bins: is for 3-D data"),
        ("data: {format: h36m, category: person}", "data.category: is not used with data.format=h36m"),
        ("data: {format: h36m, group_key: film}", "data.group_key: is not used with data.format=h36m"),
        (
            "data: {format: h36m, detection_boxes: unchanged}",
            "data.detection_boxes: is not used with data.format=h36m",
        ),
        ("{data: {format: h36m}, loss: {name: basic}}", "loss.name: basic predicts with one flow"),
        (
            "{data: {format: h36m}, eval: {nme_reference: box}}",
            "eval.nme_reference: NME is for 2-D",
        ),
        ("eval: {nme_reference: [nose, nose]}", "eval.nme_reference: the distance between nose and itself is 0"),
        ("{data: {format: h36m}, loss: {flow: {masks: [[0, 1]]}}}", "loss.flow.masks: cannot fit both"),
        (
            "{data: {format: h36m}, model: {head: {name: heatmap}}, loss: {name: heatmap_mse}}",
            "model.head.name: heatmap predicts no depth",
        ),
        (
            "{data: {format: h36m, extra_annotations: a, extra_images: b}, train: {batch_size: 9}}",
            "train.batch_size: 9 is odd",
        ),
        ("model: {head: {name: heatmap}}", "model.head.name: the head heatmap cannot be trained with the loss rle"),
        (
            "loss: {name: heatmap_mse}",
            "model.head.name: the head regression cannot be trained with the loss heat",
        ),
        (
            "{model: {head: {name: heatmap}}, loss: {name: heatmap_mse, outside_weight: 1}}",
            "loss.outside_weight: heatmaps end at the crop's border",
        ),
        ("loss: {heatmap: {sigma: 3}}", "loss.heatmap: rle has no such option"),
        ("train: {clip_grad_by: tensor}", "train.clip_grad_by: has no effect without train.clip_grad_norm"),
        ("model: {head: {alignment: udp}}", "model.head.alignment: regression has no such option"),
        (
            "{model: {head: {name: heatmap, hidden: [64]}}, loss: {name: heatmap_mse}}",
            "model.head.hidden: heatmap has no such option",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        load(tmp_path, text)


def test_milestones_do_not_matter_to_a_cosine_schedule(tmp_path: Path) -> None:
    assert load(tmp_path, "train: {epochs: 5, schedule: {name: cosine}}").train.epochs == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {seed: 1, seed: 2}", "the key 'seed' appears twice"),
        ("train: {seed: 1}\nloss: {}\ntrain: {epochs: 300}", "the key 'train' appears twice"),
        ("1: {seed: 1}", "the key '1' is not text"),
        ("train: {true: 1}", "the key 'true' is not text"),
        ("items: 3", "items: no such option"),
        ("train: {items: 3}", "items: no such option"),
        ("train: [1", "not valid YAML"),
        ("- train", "expected `section: {key: value}`, got list"),
    ],
)
def test_a_file_of_another_shape_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "case.yaml"))


def test_a_file_that_is_not_utf_8_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "case.yaml"
    path.write_bytes("name: é".encode("latin-1"))
    with pytest.raises(InputError, match=r"case\.yaml: the config file is not UTF-8 text"):
        load_config(path)


def test_yaml_merge_keys_take_over_another_sections_values(tmp_path: Path) -> None:
    text = "train:\n  schedule:\n    <<: {warmup_epochs: 2}\n    name: cosine"
    assert load(tmp_path, text).train.schedule == CosineConfig(warmup_epochs=2)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml: cannot read the config file"):
        load_config(tmp_path / "nowhere.yaml")


# --- variants -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "train: {optimizer: {momentum: 0.9}}",
            "train.optimizer.momentum: adam has no such option; remove it, or set ",
        ),
        (
            "loss: {name: l1, flow: {}}",
            "loss.flow: l1 has no such option; remove it, or set loss.name=basic or dle or",
        ),
        ("train: {schedule: {name: cosine, gamma: 0.1}}", "train.schedule.gamma: cosine has no such option; remove it"),
        ("loss: {flow: {name: maf, init: small}}", "loss.flow.init: maf has no such option; remove it, or set loss."),
    ],
)
def test_an_option_of_another_variant_is_refused_also_at_its_default(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"case.yaml: {message}")):
        load(tmp_path, text)


@pytest.mark.parametrize(
    "overrides",
    [["loss.flow.depth=4", "loss.name=l1"], ["loss.name=l1", "loss.flow.depth=4"]],
    ids=["option, name", "name, option"],
)
def test_another_variant_on_the_command_line_says_what_to_leave_out(tmp_path: Path, overrides: list[str]) -> None:
    with pytest.raises(
        InputError, match=r"loss\.flow: l1 has no such option; remove it, or set loss\.name=basic or dle"
    ):
        load(tmp_path, "loss: {name: rle, flow: {base: laplace}}", *overrides)


def test_choosing_another_variant_leaves_behind_what_a_base_set_for_the_first(tmp_path: Path) -> None:
    write(tmp_path / "shared.yaml", "loss: {name: rle, form: paper, flow: {base: laplace}, hidden_weight: 0.5}")
    assert load(tmp_path, "base: shared.yaml\nloss: {name: l1}").loss == L1Config(hidden_weight=0.5)
    assert load(tmp_path, "base: shared.yaml", "loss.name=l1").loss == L1Config(hidden_weight=0.5)
    schedule = "train: {schedule: {name: step, milestones: [3], gamma: 0.5, warmup_epochs: 1}}"
    chosen = load(tmp_path, schedule, "train.schedule.name=cosine").train.schedule
    assert chosen == CosineConfig(warmup_epochs=1)


def test_an_option_for_the_variant_that_a_base_chose_is_refused_where_another_is_chosen(tmp_path: Path) -> None:
    write(tmp_path / "shared.yaml", "loss: {name: l1}")
    with pytest.raises(InputError, match=r"loss\.form: l1 has no such option; remove it"):
        load(tmp_path, "base: shared.yaml\nloss: {form: paper}")


def test_a_section_is_not_null(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"loss\.flow: expected a section with keys, got None"):
        load(tmp_path, "loss: {name: rle, flow: null}")


def test_options_that_two_variants_share_stay_when_the_name_changes(tmp_path: Path) -> None:
    loss = load(tmp_path, "loss: {name: rle, hidden_weight: 0.5, flow: {depth: 4}}", "loss.name=dle").loss
    assert loss == DLEConfig(hidden_weight=0.5, flow=RealNVPConfig(depth=4))


def test_another_variant_of_a_config_needs_only_its_name_where_the_first_has_its_defaults() -> None:
    config = Config(name="case")
    assert with_overrides(config, ["loss.name=l1", "train.schedule.name=cosine"]).loss == L1Config()
    paper = with_overrides(config, ["loss.form=paper", "loss.flow.depth=4"])
    assert with_overrides(paper, []) == paper
    assert with_overrides(paper, ["loss.name=l1"]).loss == L1Config()


def test_the_stored_config_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """It had the options of all variants in each section."""
    tree = torch.load(REPOSITORY / "tests" / "data" / "checkpoint_format2.pt", weights_only=True)["config"]
    assert tree["train"]["optimizer"]["name"] == "adam" and "momentum" in tree["train"]["optimizer"]
    config = load(tmp_path, yaml.safe_dump(tree), "train.epochs=30")
    assert config.loss == RLEConfig(flow=RealNVPConfig(base="laplace", depth=2, width=8))
    assert config.train.schedule == CosineConfig(warmup_epochs=1)


# --- numbers --------------------------------------------------------------------------------------------------------


def test_a_number_that_yaml_reads_as_text_is_a_number(tmp_path: Path) -> None:
    assert yaml.safe_load("1e-3") == "1e-3"
    assert load(tmp_path, "train: {optimizer: {lr: 1e-3}}").train.optimizer.lr == 0.001


def test_a_whole_number_may_be_written_with_a_point(tmp_path: Path) -> None:
    epochs = load(tmp_path, "train: {epochs: 300.0}").train.epochs
    assert epochs == 300 and isinstance(epochs, int)


def test_a_float_option_takes_a_whole_number(tmp_path: Path) -> None:
    rotation = load(tmp_path, "augment: {rotation_deg: 30}").augment.rotation_deg
    assert rotation == 30 and isinstance(rotation, float)


@pytest.mark.parametrize(("text", "value"), [("dog", "dog"), ("[dog, cat]", ("dog", "cat")), ("null", None)])
def test_an_option_of_two_types_takes_both(tmp_path: Path, text: str, value: Any) -> None:
    assert load(tmp_path, f"data: {{category: {text}}}").data.category == value


@pytest.mark.parametrize(
    ("text", "value"), [("box", "box"), ("area", "area"), ("[nose, chin]", ("nose", "chin")), ("null", None)]
)
def test_the_length_that_nme_is_relative_to_is_a_word_or_two_joints(tmp_path: Path, text: str, value: Any) -> None:
    config = load(tmp_path, "", f"eval.nme_reference={text}")
    assert config.eval.nme_reference == value
    assert config_from_dict(config.to_dict()) == config


@pytest.mark.parametrize("text", ["eyes", "[nose]", "[nose, chin, ear]"])
def test_another_length_for_nme_is_answered_with_what_there_is(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"eval\.nme_reference: expected one of box, area or a list"):
        load(tmp_path, f"eval: {{nme_reference: {text}}}")


def test_an_option_of_two_types_names_both(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.category: expected text or a list, got 3"):
        load(tmp_path, "data: {category: 3}")
