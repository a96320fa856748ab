from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models import get_model

from rlepose.errors import InputError
from rlepose.inference import Detector

NAME = "ssdlite320_mobilenet_v3_large"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "ssdlite.pth"
    torch.save(get_model(NAME, weights=None, weights_backbone=None).state_dict(), path)
    return path


def test_a_missing_file_of_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file of weights: \S*none\.pth; correct the path"):
        Detector(NAME, str(tmp_path / "none.pth"))


def test_gives_boxes_of_persons_above_the_threshold(weights: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (120, 90, 3), dtype=np.uint8)
    detector = Detector(NAME, str(weights), threshold=0.0)
    inner = detector._model
    found = {
        "labels": torch.tensor([1, 2, 1]),
        "scores": torch.tensor([0.9, 0.9, 0.3]),
        "boxes": torch.tensor([[10.0, 20, 40, 100], [0, 0, 5, 5], [1, 1, 2, 3]]),
    }
    assert len(detector(pixels).bbox_xywh) == len(detector(pixels).score)
    detector._model = lambda images: [found]
    detector.threshold = 0.5
    boxes = detector(pixels)
    np.testing.assert_allclose(boxes.bbox_xywh, [[10, 20, 30, 80]])
    np.testing.assert_allclose(boxes.score, [0.9])
    assert not inner.training


def test_weights_of_another_model_are_refused(weights: Path) -> None:
    with pytest.raises(InputError, match="contains no weights of fcos"):
        Detector("fcos_resnet50_fpn", str(weights))


def test_unknown_names_are_answered_with_those_that_exist() -> None:
    with pytest.raises(InputError, match=f"choose one of .*{NAME}"):
        Detector("yolo")
    with pytest.raises(InputError, match="one of COCO_V1"):
        Detector(NAME, "IMAGENET")


def test_without_network_the_file_to_fetch_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from urllib.error import URLError

    def no_network(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr("torch.hub.download_url_to_file", no_network)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(InputError, match=r"get https://download.pytorch.org/.*\.pth elsewhere"):
        Detector(NAME)
