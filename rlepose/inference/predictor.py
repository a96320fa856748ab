"""Predict poses with uncertainty in pictures."""

import itertools
import logging
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlepose.config.reading import with_overrides
from rlepose.datasets.formats.box_reader import PERSON
from rlepose.datasets.formats.box_table import NO_CATEGORY
from rlepose.datasets.images import warp_crop
from rlepose.errors import InputError
from rlepose.evaluation.results import pose_scores, refuse_nonfinite
from rlepose.inference.arguments import checkpoint_to_open
from rlepose.inference.boxes import NO_BOXES, Boxes, BoxSource, GivenBoxes, PersonDetector, box_source, inside_picture
from rlepose.inference.cut_off import CutOff, cut_off
from rlepose.inference.detector import Detector
from rlepose.inference.films import is_film, is_folder
from rlepose.inference.input_picture import InputPicture
from rlepose.inference.media import MAX_PIXELS, Images, folder_of, frames_of, with_path_expanded
from rlepose.inference.poses import PersonPose, PicturePoses
from rlepose.losses.pose_density import PoseDensity, ResidualDensity
from rlepose.pose.codec import joint_scores
from rlepose.pose.frames import Frames
from rlepose.pose.geometry import Floats, box_to_center_scale
from rlepose.runtime.checkpoint import load_checkpoint
from rlepose.runtime.distributed import choose_device
from rlepose.runtime.trained_model import open_checkpoint

log = logging.getLogger(__name__)

_HELD_PIXELS = 50_000_000  # maximum size of the pictures that wait for their batch to fill


class Predictor:
    """Predict the poses of persons in pictures with a checkpoint.

    A 3-D model also predicts depth; inference/space.py converts its poses to joints in 3-D.

    Args:
        checkpoint: checkpoint file that training wrote.
        device: auto, cuda or cpu.
        overrides: 'section.key=value', as for `--set`, for example eval.flip_test=false.
        detector: finds persons if no boxes are given; None for torchvision's default, which is loaded (and if necessary
            downloaded) on first use.
        max_pixels: larger pictures are rejected before they are decoded.
        min_score: joints with a lower score are not `shown`; one number, or one for each joint by name, with '*' for
            all others.

    Raises InputError for an invalid argument and for a file that is no checkpoint of this project.

    Example:
        >>> predictor = Predictor("exp/demo/checkpoints/best.pt", device="cpu")
        >>> (picture,) = predictor.predict("holiday/beach.jpg", boxes="whole")
        >>> person = picture.persons[0]
        >>> person.keypoints.shape, person.std.shape, person.joint_scores.shape
        ((17, 2), (17, 2), (17,))
    """

    def __init__(
        self,
        checkpoint: str | Path,
        device: str = "auto",
        overrides: Sequence[str] = (),
        detector: PersonDetector | None = None,
        max_pixels: int = MAX_PIXELS,
        min_score: CutOff = 0.0,
    ) -> None:
        path = checkpoint_to_open(checkpoint, overrides)
        _check_pictures(detector, max_pixels)
        loaded = load_checkpoint(path)
        self.config = with_overrides(loaded.config, [f"system.device={device}", *overrides])
        self.skeleton = loaded.skeleton
        self.max_pixels = max_pixels
        self.device = choose_device(self.config.system.device)
        self.detector = detector
        self._model = open_checkpoint(path, self.config, loaded, self.device)
        self.gives_sigma = self._model.gives_sigma
        self._least_scores = cut_off(min_score, self.skeleton, self._model.gives_scores)

    def predict(self, images: Images, boxes: GivenBoxes = None) -> list[PicturePoses]:
        """Return one PicturePoses per picture, or frame of a film, in order.

        Of several pictures, an unreadable one has no persons and reports the reason; the log has a line for each, and
        for everything else that is left out. Coordinates refer to the upright picture, after its EXIF rotation.

        Args:
            images: path of a picture, a folder or a film (a video or an animated picture); pixels (H, W, 3) RGB uint8,
                also grey, RGBA or uint16 (with values of `data.bit_depth` bits); a PIL image; or a list of paths,
                arrays and PIL images.
            boxes: 'whole', 'detector' (same as None), or boxes: a file or anything else that
                `rlepose.datasets.formats.box_reader.read_boxes` reads, for example x, y, width, height in px and
                optionally a score, (N, 4) or (N, 5), for one picture.

        Raises InputError for other images or boxes, and if the only picture cannot be read.
        """
        images, found = with_path_expanded(images), []
        for picture, poses in self.stream(images, boxes):
            if picture.pixels is None and _is_one_picture(images):
                raise InputError(picture.problem)
            for problem in poses.problems:
                log.warning("left out: %s", problem)
            found.append(poses)
        if isinstance(images, str | Path) and is_folder(Path(images)):
            for skipped in folder_of(Path(images)).skipped:
                log.warning("left out: %s", skipped)
        return found

    def stream(self, images: Images, boxes: GivenBoxes = None) -> Iterator[tuple[InputPicture, PicturePoses]]:
        """Yield each picture with its poses as soon as they are known: for videos and large folders.

        A batch is filled with the persons of successive pictures. Every picture is decoded once.
        """
        images = with_path_expanded(images)
        find = box_source(boxes, _count(images), _is_one_film(images), self._detect)
        waiting: list[_Waiting] = []
        for picture in frames_of(images, self.max_pixels, self.config.data.bit_depth or 16):
            waiting.append(self._prepare(picture, find))
            persons = sum(len(one.crops) for one in waiting)
            pixels = sum(one.picture.pixels.size // 3 for one in waiting if one.picture.pixels is not None)
            if persons >= self.config.eval.batch_size or pixels >= _HELD_PIXELS:
                yield from self._finish(waiting)
                waiting = []
        yield from self._finish(waiting)

    @cached_property
    def _residuals(self) -> ResidualDensity | None:
        """None in 3-D, where joints have densities of different dimensions, and for `basic`, whose density is of
        absolute positions and not around a prediction."""
        if self.config.dims == 3 or not self._model.has_likelihood:
            return None
        return ResidualDensity(self._model.likelihood, len(self.skeleton))

    def _detect(self) -> PersonDetector:
        if self.detector is None:
            self.detector = Detector(device=self.device)
        return self.detector

    def _prepare(self, picture: InputPicture, find: BoxSource) -> "_Waiting":
        boxes = Boxes(*NO_BOXES, (picture.problem,))
        if picture.pixels is not None:
            boxes = inside_picture(find(picture), picture)
        size = self.config.data.input_size_hw
        center, scale = box_to_center_scale(boxes.bbox_xywh, size[1] / size[0], self.config.data.box_scale)
        frames = Frames.of_crops(center, scale, size)
        crops = [warp_crop(picture.pixels, matrix, size) for matrix in frames.matrix if picture.pixels is not None]
        return _Waiting(picture, boxes, frames, crops)

    def _finish(self, waiting: "list[_Waiting]") -> Iterator[tuple[InputPicture, PicturePoses]]:
        """Predict the waiting persons and yield their pictures."""
        crops = [crop for one in waiting for crop in one.crops]
        persons = iter(self._persons(waiting, np.stack(crops)) if crops else ())
        for picture, boxes, _, of_picture in waiting:
            size_wh = (0, 0) if picture.pixels is None else (picture.pixels.shape[1], picture.pixels.shape[0])
            here = tuple(itertools.islice(persons, len(of_picture)))
            yield picture, PicturePoses(picture.name, size_wh, here, boxes.problems)

    def _persons(self, waiting: "list[_Waiting]", crops: NDArray[np.uint8]) -> Iterator[PersonPose]:
        mu, raw_sigma, joints = self._forward(torch.from_numpy(crops).permute(0, 3, 1, 2))
        refuse_nonfinite(mu, joints)
        matrices = np.concatenate([one.frames.matrix for one in waiting])
        frames = Frames(matrices, waiting[0].frames.size_wh)
        keypoints, scale = self._model.in_picture(mu, raw_sigma, frames)
        std = None if scale is None else scale * self._model.spread
        residuals = None if scale is None else self._residuals
        in_space = keypoints.shape[-1] == 3
        boxes = np.concatenate([one.boxes.bbox_xywh for one in waiting])
        categories = np.concatenate([_categories(one.boxes) for one in waiting])
        scores = pose_scores(joints, np.concatenate([one.boxes.score for one in waiting]))
        for i, box in enumerate(boxes):
            yield PersonPose(
                bbox_xywh=box,
                keypoints=keypoints[i, :, :2],
                std=None if std is None else std[i, :, :2],
                joint_scores=joints[i] if self._model.gives_scores else None,
                score=float(scores[i]),
                density=None if residuals is None or scale is None else PoseDensity(residuals, keypoints[i], scale[i]),
                depth=keypoints[i, :, 2] if in_space else None,
                depth_std=std[i, :, 2] if in_space and std is not None else None,
                shown=joints[i] >= self._least_scores,
                category_id=int(categories[i]),
            )

    def _forward(self, images: Tensor) -> tuple[Floats, Floats | None, Floats]:
        """Predict crops (N, 3, H, W) uint8 in batches -> mu, sigma (N, K, D) in network units, joint scores (N, K)."""
        parts: list[list[Tensor | None]] = []
        for part in torch.split(images, self.config.eval.batch_size):
            output = self._model.predict(part.to(self.device))
            parts.append([output.mu, output.sigma, joint_scores(output)])
        mu, sigma, scores = (_on_host(batches) for batches in zip(*parts, strict=True))
        assert mu is not None and scores is not None
        return mu, sigma, scores


def _check_pictures(detector: object, max_pixels: object) -> None:
    """InputError unless `detector` is a function or None, and `max_pixels` a whole number above 0."""
    if detector is not None and not callable(detector):
        raise InputError(
            "detector: expected a function that maps RGB pixels (H, W, 3) to boxes (N, 4) or (N, 5), see "
            f"rlepose.inference.PersonDetector, got {detector!r}"
        )
    if not isinstance(max_pixels, int) or max_pixels < 1:
        raise InputError(f"max_pixels: expected a whole number above 0, got {max_pixels!r}")


def _categories(boxes: Boxes) -> NDArray[np.int64]:
    """Return (N,) category ids, COCO's of people where none is given."""
    given = np.full(len(boxes.score), NO_CATEGORY) if boxes.category_ids is None else boxes.category_ids
    return np.where(given == NO_CATEGORY, PERSON, given)


def _on_host(batches: Sequence[Tensor | None]) -> Floats | None:
    there = [batch for batch in batches if batch is not None]
    return torch.cat(there).float().cpu().numpy() if there else None


class _Waiting(NamedTuple):
    """A picture that waits for a full batch: N boxes, N frames, N crops (H, W, 3)."""

    picture: InputPicture
    boxes: Boxes
    frames: Frames
    crops: list[NDArray[np.uint8]]


def _count(images: Images) -> int | None:
    """Return the number of entries, each a picture or a film; None for one film."""
    if isinstance(images, str | Path):
        if is_folder(Path(images)):
            return len(folder_of(Path(images)).pictures)
        return None if is_film(Path(images)) else 1
    return len(images) if isinstance(images, Sequence) else 1


def _is_one_film(images: Images) -> bool:
    return isinstance(images, str | Path) and is_film(Path(images))


def _is_one_picture(images: Images) -> bool:
    """Return whether the input is neither a list nor a folder nor a film, so that no other picture can be predicted."""
    if isinstance(images, str | Path):
        return not is_folder(Path(images)) and not is_film(Path(images))
    return not isinstance(images, Sequence)
