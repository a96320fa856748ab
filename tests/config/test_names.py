"""Options by their dotted names."""

from rlepose.config.config import Config
from rlepose.config.names import changed_options, differences, option_names, option_values
from rlepose.config.reading import with_overrides

PLAIN = Config(name="case")


def test_names_are_those_of_all_variants_and_values_those_of_the_chosen() -> None:
    config = with_overrides(PLAIN, ["loss.name=l1"])
    assert {"loss.flow.masks", "loss.heatmap.sigma", "loss.name"} <= set(option_names())
    values = option_values(config)
    assert values["loss.name"] == "l1" and values["data.input_size_hw"] == [256, 192]
    assert set(values) < set(option_names()) and not any(name.startswith("loss.flow.") for name in values)


def test_changed_options_are_those_that_make_the_config_again() -> None:
    changes = {"loss.name": "dle", "loss.flow.name": "maf", "loss.flow.depth": 4, "train.optimizer.name": "sgd"}
    changes |= {"train.optimizer.momentum": 0.5, "data.input_size_hw": [64, 48]}
    config = with_overrides(PLAIN, [f"{name}={value}" for name, value in changes.items()])
    assert changed_options(config) == {"name": "case", **changes}


def test_a_changed_variant_is_told_by_its_name_and_not_by_what_the_other_lacks() -> None:
    paper = with_overrides(PLAIN, ["loss.form=paper", "train.seed=1"])
    other = with_overrides(PLAIN, ["loss.name=l1"])
    assert differences(paper, other) == ["loss.name: rle -> l1", "train.seed: 1 -> 0"]
