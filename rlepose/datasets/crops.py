"""Turn a table of persons into batches of tensors."""

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

    dataset[epoch, person] -> dict: image uint8 (3, H, W) RGB; target and weight float32 (K, D), with D = 3 for a table
    with depth, else 2; index, the person's row in the table; problem, the reason why the picture is unreadable, else ''
    (an unreadable picture gives a black crop and weights of 0). With `augment`, all random choices are a function of
    (seed, epoch, person).

    Args:
        table: N persons.
        skeleton: the K joints.
        input_size_hw: height and width of the crops, px.
        box_scale: size of the crops relative to the boxes, one number or (N,).
        augment: random augmentation; None for none.
        seed: seed of the augmentation.
        images: source of pixels; None for the picture files.
        hidden_weight, outside_weight: see codec.encode.
        joint_weights, person_weights: (K,) and (N,) factors of the labels' weights, or one number for all.
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
        joint_weights: ArrayLike = 1.0,
        person_weights: ArrayLike = 1.0,
    ) -> None:
        self.images = images or ImageFiles(table)
        self.table = table
        self.skeleton = skeleton
        self.input_size_hw = input_size_hw
        self.augment = augment
        self.seed = seed
        self.hidden_weight = hidden_weight
        self.outside_weight = outside_weight
        self.joint_weights = np.asarray(joint_weights, float)
        self.person_weights = np.broadcast_to(np.asarray(person_weights, float), len(table))
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
        """Return the crops of all persons (N,), without augmentation."""
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
        factor = self.joint_weights * self.person_weights[person]
        target, weight = encode(keypoints, visible, frame, self.hidden_weight, depth, self.outside_weight, factor)
        return {
            "image": torch.from_numpy(crop).permute(2, 0, 1),
            "target": torch.from_numpy(target),
            "weight": torch.from_numpy(weight),
            "index": person,
            "problem": problem,
        }


class PersonBatch:
    """Common methods of batches of B persons. Derive a dataclass whose fields are `problems` and tensors with one row
    per person."""

    persons: Tensor
    problems: list[str]

    def __len__(self) -> int:
        return len(self.persons)

    def __getitem__(self, rows: slice) -> Self:
        return self._changed(lambda tensor: tensor[rows], self.problems[rows])

    def split(self, parts: int) -> list[Self]:
        """Return batches of equal size, in order; the last may be smaller."""
        size = -(-len(self) // parts)
        return [self[start : start + size] for start in range(0, len(self), size)]

    def to(self, device: torch.device) -> Self:
        """Return the batch on a device; copies from pinned memory do not block."""
        return self._changed(lambda tensor: tensor.to(device, non_blocking=True), self.problems)

    def pin_memory(self) -> Self:
        """Return the batch in pinned memory, from which copies to a GPU do not block; a DataLoader calls this."""
        return self._changed(Tensor.pin_memory, self.problems)

    def tensors(self) -> list[Tensor]:
        """Return all tensors of the batch."""
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
    problems (B,), the reason why a picture is unreadable, else ''.
    """

    image: Tensor
    target: Tensor
    weight: Tensor
    persons: Tensor
    problems: list[str]

    @classmethod
    def of_tensors(cls, image: Tensor, target: Tensor, weight: Tensor) -> "CropBatch":
        """Return a batch of crops that belong to no table: numbered from 0, without problems."""
        return cls(image, target, weight, torch.arange(len(image), device=image.device), [""] * len(image))


def collate(items: list[dict[str, Any]]) -> CropBatch:
    """Collate items to a batch; images keep the memory layout of pixels, which is channels_last."""
    return CropBatch(
        image=torch.stack([item["image"].permute(1, 2, 0) for item in items]).permute(0, 3, 1, 2),
        target=torch.stack([item["target"] for item in items]),
        weight=torch.stack([item["weight"] for item in items]),
        persons=torch.tensor([item["index"] for item in items]),
        problems=[item["problem"] for item in items],
    )


class BadImages:
    """The treatment of unreadable pictures: `data.on_bad_image`."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.seen: set[str] = set()
        self._told: set[str] = set()
        self._crops_read = 0

    def check(self, problems: list[str]) -> None:
        """Record a batch's problems ('' for none); in mode 'error', raise InputError at the first."""
        self._crops_read += problems.count("")
        for problem in filter(None, problems):
            if self.mode == "error":
                raise InputError(f"{problem}; or set data.on_bad_image=skip to skip such pictures")
            self.seen.add(problem)

    @property
    def state(self) -> tuple[set[str], int]:
        """Problems and number of crops read on this rank."""
        return self.seen, self._crops_read

    def report(self, states: list[tuple[set[str], int]], complete: bool = True) -> None:
        """Log the pictures skipped so far, once each. states: of all ranks.

        Raises InputError if no picture could be read, unless only some were tried (complete=False).
        """
        together: set[str] = set().union(*(seen for seen, _ in states))
        if complete and together and not any(crops_read for _, crops_read in states):
            raise InputError(f"none of {len(together)} pictures could be read, so nothing is left: {min(together)}")
        for problem in sorted(together - self._told):
            log.warning("skipped: %s", problem)
        if together - self._told:
            log.warning("%d pictures could not be read and are skipped", len(together))
        self._told = together
