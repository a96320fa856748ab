"""From picture files on, converted models of the authors' code see the pixels that theirs saw, and give their poses."""

import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from rlepose.config.config import Config
from rlepose.config.reading import with_overrides
from rlepose.convert.foreign_checkpoint import convert_checkpoint
from rlepose.datasets.crops import PoseDataset
from rlepose.datasets.formats.coco import persons_from_annotations
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.images import read_image, warp_crop
from rlepose.datasets.of_config import labelled_table
from rlepose.datasets.persons import PersonTable
from rlepose.pose.geometry import box_to_center_scale
from rlepose.pose.skeleton import COCO, H36M
from rlepose.runtime.checkpoint import load_checkpoint
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.trained_model import TrainedModel, open_checkpoint
from rlepose.validation.pose_source import TableSource
from rlepose.validation.validations import build_validation
from tests.convert.authors import AuthorsNetwork, in_picture

ALONE = Ranks(0, 1, torch.device("cpu"))
LEVEL = 1 / 255 / 0.224 + 1e-4  # more than one grey level in their pixels in 3-D
# OpenCV 5 interpolates as the reference was made, OpenCV 4 between 32 places a pixel.
SAME_WARP = int(cv2.__version__.partition(".")[0]) >= 5
FOCAL = 1000.0

Opened = tuple[Config, TrainedModel]


@pytest.fixture
def converted(tmp_path: Path) -> Callable[..., Opened]:
    """converted(network, size, 'data.root=…', …) -> the converted model, and its config."""

    def make(network: AuthorsNetwork, size_hw: tuple[int, int] | None, *overrides: object) -> Opened:
        torch.save(network.state, tmp_path / "theirs.pth")
        convert_checkpoint(tmp_path / "theirs.pth", tmp_path / "ours.pt", size_hw)
        checkpoint = load_checkpoint(tmp_path / "ours.pt")
        plain = [f"data.cache_dir={tmp_path}", "system={workers: 0, device: cpu, precision: float32}"]
        config = with_overrides(checkpoint.config, [*plain, *map(str, overrides)])
        return config, open_checkpoint(tmp_path / "ours.pt", config, checkpoint, ALONE.device)

    return make


@pytest.fixture(scope="module")
def items(reference_folder: Path) -> Mapping[str, NDArray]:
    """What the authors' test transform in 3-D makes of four persons, in crops of 64×64."""
    return np.load(reference_folder / "official_3d_items.npz")


def persons_of_coco(folder: Path, annotation_ids: ArrayLike) -> PersonTable:
    """These persons of the validation pictures in a folder of COCO's layout."""
    coco = CocoFile(folder / "annotations" / "person_keypoints_val2017.json")
    return with_ids(persons_from_annotations(coco, folder / "val2017"), annotation_ids)


def with_ids(table: PersonTable, person_ids: ArrayLike) -> PersonTable:
    """A table's persons with these ids, in the order of the ids."""
    return table.select(np.array([table.person_ids.tolist().index(number) for number in np.asarray(person_ids)]))


@torch.no_grad()
def test_pictures_in_2d_come_to_the_authors_poses(
    reference: Mapping[str, NDArray],
    real_data: Path,
    reference_folder: Path,
    converted: Callable[..., Opened],
) -> None:
    network = AuthorsNetwork(reference, "head2d")
    config, model = converted(network, None, f"data.root={real_data / 'coco_mini'}")
    persons = reference["crops/annotation_id"][:4]
    table, skeleton = labelled_table(config, "val")
    ours = TableSource(config, with_ids(table, persons), skeleton, ALONE).predict(model)

    crops = np.stack([read_image(reference_folder / "crops" / f"{person}.png") for person in persons])
    pixels = torch.from_numpy(crops).permute(0, 3, 1, 2) / 255 - torch.tensor([0.406, 0.457, 0.480]).view(3, 1, 1)
    theirs = network.pose_with_flip_test(pixels, COCO)
    expected = in_picture(theirs.mu, reference["crops/crop_box_xyxy"][:4])
    np.testing.assert_allclose(ours.keypoints, expected, atol=0.01)
    np.testing.assert_allclose(ours.joint_scores, 1 - theirs.sigma.mean(dim=-1), atol=1e-4)


@pytest.mark.parametrize(("name", "overrides"), [("h36m", []), ("mpii", ["data.box_scale=1.25"])])
@torch.no_grad()
def test_crops_in_3d_have_the_authors_pixels(
    reference: Mapping[str, NDArray],
    real_data: Path,
    items: Mapping[str, NDArray],
    converted: Callable[..., Opened],
    name: str,
    overrides: list[str],
) -> None:
    config, model = converted(AuthorsNetwork(reference, "head3d"), (64, 64), *overrides)
    table = persons_of_coco(real_data / "coco_mini", items["annotation_id"])
    box = items["box_xyxy"]
    bbox_xywh = np.concatenate([box[:, :2], box[:, 2:] - box[:, :2]], axis=1)
    table = dataclasses.replace(table, bbox_xywh=bbox_xywh.astype(np.float32))
    dataset = PoseDataset(table, COCO, config.data.input_size_hw, config.data.box_scale)
    crop_box = np.concatenate([dataset.center - dataset.scale / 2, dataset.center + dataset.scale / 2], axis=1)
    np.testing.assert_allclose(crop_box, items[f"{name}/crop_xyxy"], atol=1e-4)

    seen: list[Tensor] = []
    model.network.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.network(torch.stack([dataset[0, person]["image"] for person in range(4)]))
    regions = zip(*box_to_center_scale(bbox_xywh, 1, 1), strict=True)
    matrices = [as_they_round(*region, config.data.box_scale) for region in regions]
    crops = [warp_crop(read_image(table.image_path(i)), matrix, (64, 64)) for i, matrix in enumerate(matrices)]
    model.network(torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2))
    off, off_as_they_round = (np.abs(pixels.numpy() - items[f"{name}/pixels"]) for pixels in seen)
    if SAME_WARP:
        assert off_as_they_round.max() <= 1e-4
        # Their matrices are float32, ours float64: a few values between two grey levels are rounded to the other one.
        assert (off > 1e-4).sum() <= 5 and off.max() <= LEVEL
    else:
        assert (off <= 1e-4).mean() >= 0.85 and off.max() <= 4 * LEVEL


def as_they_round(center: NDArray, scale: NDArray, padding: float) -> NDArray[np.floating]:
    """The matrix from picture to a crop of 64×64 by three points in float32: centre, top middle, top left."""
    middle, half = np.float32(center), np.float32(scale) * np.float32(padding) / 2
    top = middle - np.float32([0, half[1]])
    points = np.stack([middle, top, top - np.float32([half[0], 0])])
    return cv2.getAffineTransform(points, np.float32([[32, 32], [32, 0], [0, 0]]))


# The fourth person's box passes the border, where the authors' reading of Human3.6M's file, and ours, would cut it.
PERSONS = slice(0, 3)


def write_h36m_of(folder: Path, pictures: Sequence[Path], boxes_xyxy: NDArray) -> NDArray[np.float64]:
    """Human3.6M's layout, with made up joints around the middle of the boxes: -> (N, 17, 3) mm before the camera."""
    (folder / "images").mkdir(parents=True)
    rng, middle = np.random.default_rng(0), (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    root = np.concatenate([middle * 4000 / FOCAL, np.full((len(middle), 1), 4000)], axis=1)
    joints = root[:, None] + rng.normal(0, 200, (len(root), 17, 3)) * (np.arange(17) > 0)[:, None]
    tree: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": []}
    for number, (picture, box) in enumerate(zip(pictures, boxes_xyxy, strict=True), 1):
        name = f"s_09_act_02_subact_01_ca_01_{number:06d}.jpg"
        shutil.copyfile(picture, folder / "images" / name)
        height, width = read_image(picture).shape[:2]
        camera = {"R": np.eye(3).tolist(), "t": [0, 0, 0], "f": [FOCAL, FOCAL], "c": [0, 0]}
        tree["images"].append({"id": number, "file_name": name, "width": width, "height": height})
        tree["annotations"].append(
            {
                "id": number,
                "image_id": number,
                "bbox": [*box[:2], *(box[2:] - box[:2] + 1)],  # a box of w pixels ends w − 1 after it begins
                "keypoints_world": joints[number - 1].tolist(),
                "cam_param": camera,
            }
        )
    (folder / "joints.json").write_text(json.dumps(tree))
    return joints


@torch.no_grad()
def test_pictures_in_3d_come_to_the_authors_poses_and_mpjpe(
    reference: Mapping[str, NDArray],
    real_data: Path,
    items: Mapping[str, NDArray],
    converted: Callable[..., Opened],
    tmp_path: Path,
) -> None:
    table = persons_of_coco(real_data / "coco_mini", items["annotation_id"][PERSONS])
    pictures = [table.image_path(row) for row in range(len(table))]
    truth = write_h36m_of(tmp_path / "h36m", pictures, items["box_xyxy"][PERSONS])
    network = AuthorsNetwork(reference, "head3d")
    paths = f"data={{root: {tmp_path / 'h36m'}, val_annotations: joints.json, val_images: images}}"
    config, model = converted(network, (64, 64), paths)
    metrics, _, ours = build_validation(config, "gt", ALONE).run(model)

    theirs = network.pose_with_flip_test(torch.from_numpy(items["h36m/pixels"][PERSONS]), H36M)
    expected = in_picture(theirs.mu, items["h36m/crop_xyxy"][PERSONS])
    np.testing.assert_allclose(ours.keypoints, expected, atol=0.05 if SAME_WARP else 1)
    z = expected[:, :17, 2] + truth[:, :1, 2]
    joints = np.stack([expected[:, :17, 0] * z / FOCAL, expected[:, :17, 1] * z / FOCAL, z], axis=-1)
    errors = np.linalg.norm((joints - joints[:, :1]) - (truth - truth[:, :1]), axis=-1)
    assert metrics["MPJPE"] == pytest.approx(errors.mean(), rel=1e-5 if SAME_WARP else 1e-3)
