"""From a table of persons to batches of tensors."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.utils.data import Dataset
from typing_extensions import Self

from rlepose.datasets.augment import CropChoice, random_color, random_crop, random_occluder, sample_generator
from rlepose.datasets.batches import Key
from rlepose.datasets.images import ImageFiles, ImageSource
from rlepose.datasets.options import AugmentConfig
from rlepose.datasets.persons import PersonTable
from rlepose.datasets.persons3d import Person3DTable
from rlepose.errors import InputError
from rlepose.pose.codec import encode
from rlepose.pose.frames import Frames
from rlepose.pose.geometry import box_to_center_scale
from rlepose.pose.skeleton import Skeleton

log = logging.getLogger(__name__)


class PoseDataset(Dataset[dict[str, Any]]):
    """Crops of persons with their regression targets.

    dataset[epoch, person] -> dict: image uint8 (3, H, W) RGB; target, weight float32 (K, D), D being 3 for a table with
    depth, else 2; index, the person's row in the table; problem, empty or why the picture could not be read (then the
    crop is black and all weights are 0). With `augment`, all random choices follow from (seed, epoch, person).

    box_scale: how much larger than the boxes the crops are, a number for all persons or (N,). images: where the pixels
    come from, None for the picture files. hidden_weight, outside_weight: as codec.encode's.
    """

    def __init__(
        self,
        table: PersonTable,
        skeleton: Skeleton,
        input_size_hw: tuple[int, int],
        box_scale: ArrayLike,
        augment: AugmentConfig | None = None,
        seed: int = 0,
        images: ImageSource | None = None,
        hidden_weight: float = 1.0,
        outside_weight: float = 0.0,
    ) -> None:
        self.images = images or ImageFiles(table)
        self.table = table
        self.skeleton = skeleton
        self.input_size_hw = input_size_hw
        self.augment = augment
        self.seed = seed
        self.hidden_weight = hidden_weight
        self.outside_weight = outside_weight
        height, width = input_size_hw
        self.center, self.scale = box_to_center_scale(table.bbox_xywh, width / height, box_scale)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def item_bytes(self) -> int:
        """Memory of one item's tensors."""
        height, width = self.input_size_hw
        dims = 3 if isinstance(self.table, Person3DTable) else 2
        return 3 * height * width + 2 * 4 * dims * len(self.skeleton) + 8

    def frames(self) -> Frames:
        """The crops of all persons (N,), without augmentation."""
        return Frames.of_crops(self.center, self.scale, self.input_size_hw)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        epoch, person = key
        keypoints, visible = self.table.keypoints[person], self.table.visible[person]
        depth = self.table.depth[person] if isinstance(self.table, Person3DTable) else None
        choice = CropChoice(self.center[person], self.scale[person])
        rng = sample_generator(self.seed, epoch, person)
        if self.augment is not None:
            choice = random_crop(rng, self.augment, self.skeleton, choice.center, choice.scale, keypoints, visible)
        frame = Frames.of_crops(choice.center, choice.scale, self.input_size_hw, choice.rotation_deg, choice.flip)
        if choice.flip:
            permutation = list(self.skeleton.flip_permutation)
            keypoints, visible = keypoints[permutation], visible[permutation]
            depth = None if depth is None else depth[permutation]
        try:
            view = self.images.view(person)
        except InputError as error:
            crop, visible, problem = np.zeros((*self.input_size_hw, 3), np.uint8), visible * 0, str(error)
        else:
            problem = ""
            if self.augment is not None:
                size_wh = self.table.image_size_wh[self.table.image_index[person]]
                occluder = random_occluder(rng, self.augment, self.table.bbox_xywh[person], size_wh)
                view = view if occluder is None else view.with_noise(occluder, rng)
            crop = view.crop(frame.matrix, self.input_size_hw)
            if self.augment is not None:
                crop = random_color(rng, self.augment, crop)
        target, weight = encode(keypoints, visible, frame, self.hidden_weight, depth, self.outside_weight)
        return {
            "image": torch.from_numpy(crop).permute(2, 0, 1),
            "target": torch.from_numpy(target),
            "weight": torch.from_numpy(weight),
            "index": person,
            "problem": problem,
        }


class PersonBatch:
    """What a batch of B persons can do, whatever it holds of each. A dataclass whose fields are tensors with a row a
    person, and `problems`, derives from it."""

    persons: Tensor
    problems: list[str]

    def __len__(self) -> int:
        return len(self.persons)

    def __getitem__(self, rows: slice) -> Self:
        return self._changed(lambda tensor: tensor[rows], self.problems[rows])

    def split(self, parts: int) -> list[Self]:
        """Batches of equal size, in order; the last may be smaller."""
        size = -(-len(self) // parts)
        return [self[start : start + size] for start in range(0, len(self), size)]

    def to(self, device: torch.device) -> Self:
        """The batch on a device; copies from pinned memory do not wait."""
        return self._changed(lambda tensor: tensor.to(device, non_blocking=True), self.problems)

    def pin_memory(self) -> Self:
        """The batch in memory from which copies to a GPU do not wait; a DataLoader calls it."""
        return self._changed(Tensor.pin_memory, self.problems)

    def tensors(self) -> list[Tensor]:
        """All tensors of the batch."""
        return list(self._tensors_by_name().values())

    def _tensors_by_name(self) -> dict[str, Tensor]:
        return {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}

    def _changed(self, change: Callable[[Tensor], Tensor], problems: list[str]) -> Self:
        changed = {name: change(tensor) for name, tensor in self._tensors_by_name().items()}
        of_this_kind: Any = type(self)
        return of_this_kind(**changed, problems=problems)


@dataclass(frozen=True)
class CropBatch(PersonBatch):
    """Crops of B persons and their targets.

    image (B, 3, H, W) uint8 RGB; target, weight (B, K, D) float32; persons (B,) int64, their rows in the table;
    problems (B,), empty or why a picture could not be read.
    """

    image: Tensor
    target: Tensor
    weight: Tensor
    persons: Tensor
    problems: list[str]

    @classmethod
    def of_tensors(cls, image: Tensor, target: Tensor, weight: Tensor) -> "CropBatch":
        """A batch of crops that come from no table: numbered from 0, without problems."""
        return cls(image, target, weight, torch.arange(len(image), device=image.device), [""] * len(image))


def collate(items: list[dict[str, Any]]) -> CropBatch:
    """Items to a batch; images keep the memory layout of pixels, which is channels_last."""
    return CropBatch(
        image=torch.stack([item["image"].permute(1, 2, 0) for item in items]).permute(0, 3, 1, 2),
        target=torch.stack([item["target"] for item in items]),
        weight=torch.stack([item["weight"] for item in items]),
        persons=torch.tensor([item["index"] for item in items]),
        problems=[item["problem"] for item in items],
    )


class BadImages:
    """What to do about pictures that cannot be read: `data.on_bad_image`."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.seen: set[str] = set()
        self._told: set[str] = set()

    def check(self, problems: list[str]) -> None:
        """Take note of a batch's problems ('' for none); InputError at the first one if the mode is 'error'."""
        for problem in filter(None, problems):
            if self.mode == "error":
                raise InputError(f"{problem}; or set data.on_bad_image=skip to leave such pictures out")
            self.seen.add(problem)

    def report(self, seen_by_ranks: list[set[str]]) -> None:
        """Log the pictures left out so far over all ranks, each once."""
        together = set().union(*seen_by_ranks)
        for problem in sorted(together - self._told):
            log.warning("left out: %s", problem)
        if together - self._told:
            log.warning("%d pictures could not be read and are left out", len(together))
        self._told = together
