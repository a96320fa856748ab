"""Measures the authors' code: one function a row. Started by official.py with the clone on PYTHONPATH."""

import functools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import inputs
import numpy as np
import torch
from easydict import EasyDict
from measuring import cpu_seconds, growth_mib, in_a_fork, operators, stopwatch
from official_process import in_folder_with, serve
from rlepose.utils.metrics import calc_coord_accuracy, evaluate_mAP
from rlepose.utils.nms import oks_pose_nms
from rlepose.utils.transforms import get_coord
from torch import Tensor, nn
from torch.utils.data import default_collate

import rlepose.models
from rlepose.datasets import Mscoco, Mscoco_det

PRESET = EasyDict(
    TYPE="simple", SIGMA=2, NUM_JOINTS=inputs.JOINTS, IMAGE_SIZE=list(inputs.INPUT_SIZE_HW), HEATMAP_SIZE=[64, 48]
)
AUGMENT = {"FLIP": True, "ROT_FACTOR": 45, "SCALE_FACTOR": 0.25, "NUM_JOINTS_HALF_BODY": 3, "PROB_HALF_BODY": 0.3}
DECODING = EasyDict(TEST={"HEATMAP2COORD": "coord"}, DATA_PRESET=PRESET)


@functools.cache
def training_set(root: str, annotations: str = "annotations/person_keypoints_train2017.json") -> Any:
    return Mscoco(
        train=True,
        PRESET=PRESET,
        ROOT=root,
        IMG_PREFIX="train2017",
        ANN=annotations,
        AUG=AUGMENT,
        heatmap2coord="coord",
    )


def item(root: str, count: int, stage: str) -> float:
    """ms of processor time an item: the whole, or a stage of it."""
    dataset = training_set(root)
    with stopwatch(cv2, "imread", "cvtColor") as decode, stopwatch(cv2, "warpAffine") as warp:
        total = cpu_seconds(lambda: [dataset[i % len(dataset)] for i in range(count)])
    stages = {"decode": sum(decode), "warp": sum(warp)}
    return (stages | {"all": total, "rest": total - sum(stages.values())})[stage] / count * 1e3


def batch(root: str, count: int) -> float:
    """ms an item, with collation in batches of 32."""
    dataset = training_set(root)

    def load() -> None:
        for start in range(0, count, 32):
            default_collate([dataset[i % len(dataset)] for i in range(start, min(start + 32, count))])

    return cpu_seconds(load) / count * 1e3


def boxes(root: str, detections: str, decodes: bool) -> float:
    """ms a detected box, or decodes a picture."""
    with in_folder_with(root):  # it reads ./data/coco/val2017
        dataset = Mscoco_det(det_file=detections, PRESET=PRESET, ROOT=root, IMG_PREFIX="val2017", ANN="")
        with stopwatch(cv2, "imread") as reads:
            seconds = cpu_seconds(lambda: [dataset[i] for i in range(len(dataset))])
    pictures = {box["image_id"] for box in dataset._det_json}
    return len(reads) / len(pictures) if decodes else seconds * 1e3 / len(dataset)


def accuracy(size: int) -> float:
    """ms that the accuracy of one training batch takes on the host."""
    mu, _, target = map(torch.from_numpy, inputs.predicted(size))
    labels = {"target_uv": target.view(size, -1), "target_uv_weight": torch.ones(size, inputs.JOINTS * 2)}
    return cpu_seconds(lambda: calc_coord_accuracy(SimpleNamespace(pred_jts=mu), labels, (48, 64, None))) * 1e3


class Given(nn.Module):
    """In the place of a layer: what it would give."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value

    def forward(self, _: Tensor) -> Tensor:
        return self.value


@functools.cache
def network(depth: int) -> Any:
    torch.manual_seed(0)
    return rlepose.models.RegressFlow(PRESET=PRESET, NUM_FC_FILTERS=[-1], HIDDEN_LIST=-1, NUM_LAYERS=depth).train()


def loss(size: int, count: str | None = None) -> float:
    """From the heads' layers to all gradients: ms of processor time, or operators 'forward', 'backward' of the rest."""
    mu, logits, target = map(torch.from_numpy, inputs.predicted(size))
    model, criterion = network(18), rlepose.models.criterion.RLELoss()
    labels = {"target_uv": target, "target_uv_weight": torch.ones_like(target)}
    heads = model.preact, model.fc_coord, model.fc_sigma
    model.preact = nn.Identity()
    model.fc_coord, model.fc_sigma = Given(mu.requires_grad_()), Given(logits.requires_grad_())
    image = torch.zeros(size, 1, 1, 1)

    def forward() -> Tensor:
        return criterion(model(image, labels), labels)

    try:
        if count is not None:
            model.zero_grad(set_to_none=True)
            together = operators(forward)
            logits.grad = None  # adding to it would be an operator
            # All but the sum, and but the one that a backward pass begins with, are the heads'.
            of_heads = [number - 1 for number in operators(lambda: model(image).sigma.sum())]
            return together[count == "backward"] - of_heads[count == "backward"]
        return cpu_seconds(lambda: [forward().backward() for _ in range(5)]) / 5 * 1e3
    finally:
        model.preact, model.fc_coord, model.fc_sigma = heads


@functools.cache
def optimizer(depth: int) -> torch.optim.Optimizer:
    return torch.optim.Adam(network(depth).parameters(), lr=1e-3)


def step(depth: int, size: int, size_hw: tuple[int, int]) -> float:
    """ms of processor time a person, of one training step with its accuracy and its loss read."""
    model, criterion = network(depth), rlepose.models.criterion.RLELoss()
    image = torch.rand(size, 3, *size_hw)
    target = torch.from_numpy(inputs.predicted(size)[2])
    labels = {"target_uv": target, "target_uv_weight": torch.ones_like(target)}

    def work() -> None:
        output = model(image, labels)
        value = criterion(output, labels)
        calc_coord_accuracy(output, labels, (48, 64, None))
        value.item()
        optimizer(depth).zero_grad()
        value.backward()
        optimizer(depth).step()

    return cpu_seconds(work) / size * 1e3


def decode_all(found: inputs.Detections) -> list[dict[str, Any]]:
    """What its validation does with a batch of predictions, person by person."""
    center, size = found.crops()
    boxes_of_crops = torch.from_numpy(np.concatenate([center - size / 2, center + size / 2], axis=1)).float()
    output = EasyDict(pred_jts=torch.from_numpy(found.mu))
    output.maxvals = 1 - torch.from_numpy(found.sigma).mean(dim=2, keepdim=True)
    to_coordinates = get_coord(DECODING, PRESET.HEATMAP_SIZE)
    poses = []
    for row, crop in enumerate(boxes_of_crops):
        keypoints, scores = to_coordinates(output, crop.tolist(), idx=row)
        poses.append(
            {
                "bbox": found.bbox_xywh[row].tolist(),
                "image_id": int(found.image_ids[row]),
                "score": float(found.box_score[row] + np.mean(scores) + np.max(scores)),
                "category_id": 1,
                "keypoints": np.concatenate((keypoints[0], scores[0]), axis=1).reshape(-1).tolist(),
                "area": float((crop[2] - crop[0]) * (crop[3] - crop[1])),
            }
        )
    return poses


@functools.cache
def scene(pictures: int) -> inputs.Detections:
    return inputs.detections(inputs.coco_tree(pictures, round(pictures * inputs.TRUTHS_A_PICTURE)))


def decode(pictures: int) -> float:
    """ms a thousand persons."""
    found = scene(pictures)
    return cpu_seconds(lambda: decode_all(found)) / len(found.mu) * 1e6


def nms(pictures: int) -> float:
    """s for all poses."""
    poses = inputs.entries(scene(pictures))
    return cpu_seconds(lambda: oks_pose_nms(poses))


def results_json(pictures: int, path: str) -> float:
    """s for all poses."""
    poses = inputs.entries(scene(pictures))

    def write() -> None:
        with Path(path).open("w") as file:
            json.dump(poses, file)

    return cpu_seconds(write)


def evaluation(pictures: int, root: str, path: str) -> float:
    """s from the network's output to the ten numbers."""
    found = scene(pictures)

    def evaluate() -> None:
        poses = oks_pose_nms(decode_all(found))
        with Path(path).open("w") as file:
            json.dump(poses, file)
        evaluate_mAP(path, ann_type="keypoints")

    with in_folder_with(root):  # it reads ./data/coco/annotations
        return cpu_seconds(evaluate)


def memory(root: str, annotations: str, of: str) -> float:
    """MiB: of the 'parent' by loading the annotations, or of a 'worker' by one pass over them. s: of the 'start'."""
    if of == "start":
        return in_a_fork(lambda: cpu_seconds(lambda: training_set.__wrapped__(root, annotations)))
    if of == "parent":
        return in_a_fork(lambda: growth_mib(lambda: training_set.__wrapped__(root, annotations)))

    def one_epoch() -> None:
        # An item's way to its label, without the picture: a copy of the path and a deep copy of the label.
        dataset = training_set(root, annotations)
        dataset.transformation = lambda image, label: {"image": image, "bbox": label["bbox"]}
        picture = np.zeros((1, 1, 3), np.uint8)
        read, cv2.imread = cv2.imread, lambda path: picture
        for index in range(len(dataset)):
            dataset[index]
        cv2.imread = read

    training_set(root, annotations)
    return in_a_fork(lambda: growth_mib(one_epoch))


if __name__ == "__main__":
    serve(globals())
