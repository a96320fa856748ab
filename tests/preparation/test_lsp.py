"""joints.mat of Leeds Sports Pose and of its extension, in their own layouts."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from rlepose.datasets.formats.coco import persons_from_annotations
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.errors import InputError
from rlepose.preparation.lsp import JOINTS, LSP_SPLITS, convert_lsp
from rlepose.preparation.prepare import prepare
from rlepose.preparation.sources import SOURCES

PICTURES = 5


@pytest.fixture
def points() -> np.ndarray:
    """(N, 14, 2) px inside 90 × 120 pictures."""
    return np.random.default_rng(0).uniform(20, 70, (PICTURES, 14, 2)).round(2)


def write(root: Path, joints: np.ndarray, digits: int) -> Path:
    (root / "images").mkdir(parents=True)
    for number in range(1, PICTURES + 1):
        cv2.imwrite(str(root / "images" / f"im{number:0{digits}d}.jpg"), np.zeros((120, 90, 3), np.uint8))
    savemat(root / "joints.mat", {"joints": joints})
    return root / "joints.mat"


@pytest.fixture
def original(tmp_path: Path, points: np.ndarray) -> Path:
    """3 × 14 × N: x, y, hidden; in each picture the joint of its number is hidden."""
    hidden = np.eye(14)[:PICTURES]
    return write(tmp_path / "lsp", np.stack([points[..., 0], points[..., 1], hidden]).transpose(0, 2, 1), 4)


@pytest.fixture
def extended(tmp_path: Path, points: np.ndarray) -> Path:
    """14 × 3 × N: x, y, labelled; in each picture the joint of its number is not, the last picture has no label."""
    labelled = 1 - np.eye(14)[:PICTURES]
    labelled[-1] = 0
    return write(tmp_path / "lspet", np.concatenate([points, labelled[..., None]], axis=2).transpose(1, 2, 0), 5)


def test_the_originals_joints_are_all_labelled_and_some_hidden(original: Path, points: np.ndarray) -> None:
    convert_lsp(original, original.with_name("all.json"), slice(None))
    coco = CocoFile(original.with_name("all.json"))
    table = persons_from_annotations(coco, original.parent / "images").with_pictures("error")
    np.testing.assert_allclose(table.keypoints, points, atol=1e-4)
    assert (table.visible == 2 - np.eye(14)[:PICTURES]).all()
    skeleton = coco.skeleton()
    assert list(skeleton.names) == JOINTS and len(skeleton.bones) == 13 and not skeleton.without_twin
    assert np.allclose(skeleton.oks_sigmas[:3], (0.089, 0.087, 0.107))


def test_the_extensions_joints_have_a_label_or_none(extended: Path, points: np.ndarray) -> None:
    convert_lsp(extended, extended.with_name("all.json"), LSP_SPLITS["lspet_train"])
    table = persons_from_annotations(CocoFile(extended.with_name("all.json")), extended.parent / "images")
    table = table.with_pictures("error")
    assert table.person_ids.tolist() == [1, 2, 3, 4]  # nobody knows where the fifth is
    assert (table.visible == 2 * (1 - np.eye(14)[:4])).all()
    np.testing.assert_allclose(table.keypoints, points[:4] * (table.visible > 0)[..., None], atol=1e-4)


def test_boxes_hold_the_labels_with_a_margin(original: Path, points: np.ndarray) -> None:
    convert_lsp(original, original.with_name("all.json"), slice(None))
    for person, xy in zip(json.loads(original.with_name("all.json").read_text())["annotations"], points, strict=True):
        x, y, width, height = person["bbox"]
        np.testing.assert_allclose([width, height], 1.2 * np.ptp(xy, axis=0) - 1, atol=0.02)
        assert ([x, y] < xy.min(axis=0)).all() and (xy.max(axis=0) < [x + width, y + height]).all()
        assert person["area"] == pytest.approx(0.53 * width * height, abs=0.01)


def test_the_data_set_is_prepared_in_its_official_splits(original: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert LSP_SPLITS["lsp_train"] == slice(0, 1000) and LSP_SPLITS["lsp_test"] == slice(1000, None)
    splits = {"lsp_train": slice(0, 3), "lsp_test": slice(3, None)}
    monkeypatch.setattr("rlepose.preparation.prepare.LSP_SPLITS", splits)
    prepare(SOURCES["lsp"], original.parent)
    found = [CocoFile(original.parent / "annotations" / f"lsp_{split}.json") for split in ("train", "test")]
    assert [[image["id"] for image in coco.images] for coco in found] == [[1, 2, 3], [4, 5]]


def test_other_files_are_refused(original: Path, tmp_path: Path) -> None:
    target = tmp_path / "new.json"
    for content, message in (
        ({"joints": np.zeros((14, 4, 5))}, r"joints.mat: 'joints' is \(14, 4, 5\), expected 3 × 14 × N"),
        ({"points": np.zeros(3)}, "not the joints.mat of Leeds Sports Pose"),
        ({"joints": np.full((3, 14, 5), np.nan)}, "'joints' contains NaN"),
    ):
        savemat(original, content)
        with pytest.raises(InputError, match=message):
            convert_lsp(original, target, slice(None))
    original.write_bytes(b"no such file")
    with pytest.raises(InputError, match="not the joints"):
        convert_lsp(original, target, slice(None))


def test_a_missing_picture_is_told(original: Path, tmp_path: Path) -> None:
    (original.parent / "images" / "im0003.jpg").unlink()
    with pytest.raises(InputError, match=r"im0003\.jpg: cannot read the picture"):
        convert_lsp(original, tmp_path / "new.json", slice(None))
