"""COCO's JSON layout for keypoints: parsed, and checked before anything else looks at it."""

import itertools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rlepose.datasets.category_groups import category_groups_of, category_oks_sigmas, spread, united
from rlepose.datasets.formats.json_file import read_json
from rlepose.errors import InputError
from rlepose.pose.sides import sided_names
from rlepose.pose.skeleton import DEFAULT_OKS_SIGMA, FlipPairs, Skeleton, skeleton_from_names, twins_of

log = logging.getLogger(__name__)

_LARGEST_SIDE = 1_000_000  # pixels
_IMAGE_TYPES: Mapping[str, type] = {"file_name": str, "width": int, "height": int}


class Pictures:
    """What a file in COCO's layout says of its pictures; it may be an image info file, which has no labels.

    images: as in the file. Raises InputError when they are not in COCO's layout.
    """

    def __init__(self, path: Path, tree: Any) -> None:
        self.path = path
        self.images = entries(path, tree, "images")
        self._check_images()

    def _check_images(self) -> None:
        for image in self.images:
            for key, kind in _IMAGE_TYPES.items():
                if not isinstance(image.get(key), kind):
                    raise InputError(f"{self.path}: image {image['id']}: '{key}' is missing or not {kind.__name__}")
            if not (0 < image["width"] < _LARGEST_SIDE and 0 < image["height"] < _LARGEST_SIDE):
                raise InputError(
                    f"{self.path}: image {image['id']}: {image['width']} x {image['height']} pixels cannot be right"
                )
            if Path(image["file_name"]).is_absolute() or ".." in Path(image["file_name"]).parts:
                raise InputError(
                    f"{self.path}: image {image['id']}: the file name {image['file_name']!r} leads out of the picture "
                    "folder; make it relative to that folder"
                )


class CocoFile(Pictures):
    """One annotation file.

    images, annotations (of the chosen categories) and category are as in the file; where several are chosen, category
    is the first of them, with their names in a list, or 'all'. groups: those of the chosen categories. If there are
    several, category has the union of their joints, and so have the annotations: the other groups' without label.
    category: name of the category to take, names of several, or 'all' that have keypoints; None takes the only one.
    joints: a skeleton of as many joints in the same order; its names and bones replace the file's own, which in files
    of some data sets are misspelled. Sides must agree. Bones that count joints from 0 are understood.
    Raises InputError when the file is missing, broken, or not keypoints in COCO's layout.
    """

    def __init__(
        self, path: str | Path, category: str | Sequence[str] | None = None, joints: Skeleton | None = None
    ) -> None:
        path = Path(path)
        tree = read_json(path, "annotation file")
        super().__init__(path, tree)
        annotations = entries(path, tree, "annotations")
        for annotation, key in itertools.product(annotations, ("category_id", "image_id")):
            if isinstance(annotation.get(key), list | dict):
                value = annotation[key]
                raise InputError(f"{path}: annotation {annotation['id']}: {key}: expected a number, got {value}")
        chosen = self._choose_categories(entries(path, tree, "categories"), category)
        if joints is not None:
            chosen = [self._with_joints_renamed(entry, joints) for entry in chosen]
        chosen = [self._with_bones_from_1(entry) for entry in chosen]
        for entry in chosen:
            self._check_joints(entry)
        self.groups = category_groups_of(chosen)
        self.category = chosen[0] if len(self.groups) == 1 else united(chosen)
        if len(chosen) > 1:
            names = category if category == "all" else [entry["name"] for entry in chosen]
            self.category = self.category | {"name": names}
        self.category_ids = frozenset(entry["id"] for entry in chosen)
        self.annotations = [a for a in annotations if a.get("category_id") in self.category_ids]
        if len(self.groups) > 1:
            self._check_joints(self.category)
            self._spread_joints()
        self._check_boxes()

    @property
    def num_keypoints(self) -> int:
        return len(self.category["keypoints"])

    def skeleton(self, oks_sigmas: tuple[float, ...] | None = None, flip_pairs: FlipPairs | None = None) -> Skeleton:
        """The joints of the chosen category; arguments as `category_skeleton`'s."""
        return category_skeleton(self.category, self.path, oks_sigmas, flip_pairs)

    def _choose_categories(
        self, categories: list[dict[str, Any]], wanted: str | Sequence[str] | None
    ) -> list[dict[str, Any]]:
        """At least one."""
        with_keypoints = [c for c in categories if c.get("keypoints")]
        by_name = {str(c.get("name")): c for c in with_keypoints}
        names = ", ".join(by_name)
        if not with_keypoints:
            raise InputError(f"{self.path}: no category has a list 'keypoints'; this is not a keypoint file")
        if wanted is None and len(with_keypoints) > 1:
            raise InputError(
                f"{self.path}: several categories have keypoints; set data.category to one of {names}, to a list of "
                "them or to all"
            )
        if wanted is None or wanted == "all":
            return with_keypoints
        chosen = [wanted] if isinstance(wanted, str) else list(dict.fromkeys(wanted))
        unknown = [name for name in chosen if name not in by_name]
        if unknown or not chosen:
            what = f"no category '{unknown[0]}' with keypoints" if unknown else "an empty list"
            raise InputError(f"{self.path}: data.category: {what}; there is {names}")
        return [by_name[name] for name in chosen]

    def _spread_joints(self) -> None:
        """Give all annotations the union's joints; what has no label at all is left as it is."""
        joints_of = {identity: group.joints for group in self.groups for identity in group.category_ids}
        for row, annotation in enumerate(self.annotations):
            joints, keypoints = joints_of[annotation["category_id"]], annotation.get("keypoints") or []
            if isinstance(keypoints, list) and not any(keypoints[2::3]):
                continue
            if not isinstance(keypoints, list) or len(keypoints) != 3 * len(joints):
                got = f"{len(keypoints)} values" if isinstance(keypoints, list) else repr(keypoints)
                raise InputError(
                    f"{self.path}: annotation {annotation['id']}: keypoints: expected {3 * len(joints)} numbers for "
                    f"category {annotation['category_id']}, got {got}; a joint without label is 0, 0, 0"
                )
            self.annotations[row] = annotation | {"keypoints": spread(keypoints, joints, self.num_keypoints)}

    def _check_boxes(self) -> None:
        """Annotations of crowds and of persons without labels, too, which the evaluation looks at."""
        for annotation in self.annotations:
            box = annotation.get("bbox")
            if box is not None and not (
                isinstance(box, list) and len(box) == 4 and all(isinstance(side, int | float) for side in box)
            ):
                raise InputError(f"{self.path}: annotation {annotation['id']}: bbox: expected 4 numbers, got {box}")

    def _with_joints_renamed(self, category: dict[str, Any], joints: Skeleton) -> dict[str, Any]:
        found = category["keypoints"]
        alike = isinstance(found, list) and len(found) == len(joints) and all(isinstance(name, str) for name in found)
        if not alike or _sides(found) != _sides(joints.names):
            raise InputError(f"{self.path}: expected the joints {', '.join(joints.names)}, got {found}; wrong file?")
        bones = [[i + 1, j + 1] for i, j in joints.bones]
        return category | {"keypoints": list(joints.names), "skeleton": bones}

    def _with_bones_from_1(self, category: dict[str, Any]) -> dict[str, Any]:
        """Some files, such as MPII's, count the joints of their bones from 0, which shows where joint 0 is in one."""
        bones, names = category.get("skeleton") or [], category["keypoints"]
        ends = list(itertools.chain(*bones)) if isinstance(bones, list) and all(map(_is_bone, bones)) else []
        if not isinstance(names, list) or 0 not in ends or not 0 <= min(ends) <= max(ends) < len(names):
            return category
        log.info("%s: category %s: its bones count joints from 0", self.path, category["id"])
        return category | {"skeleton": [[i + 1, j + 1] for i, j in bones]}

    def _check_joints(self, category: dict[str, Any]) -> None:
        """A category's names and bones; the labels themselves are checked where they become arrays."""
        names, bones = category["keypoints"], category.get("skeleton") or []
        where = f"{self.path}: category {category['id']}"
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InputError(f"{where}: 'keypoints' must be a list of joint names")
        spelled_alike = skeleton_from_names(names).ambiguous_names()
        if spelled_alike:
            raise InputError(f"{where}: the joint names {', '.join(spelled_alike)} cannot be told apart; rename them")
        for bone in bones if isinstance(bones, list) else [bones]:
            if not _is_bone(bone) or not all(1 <= end <= len(names) for end in bone):
                raise InputError(f"{where}: skeleton entry {bone} is not a pair of joint numbers in 1 … {len(names)}")


def _sides(names: Sequence[str]) -> list[str | None]:
    return [None if sided is None else sided.side for sided in sided_names(names)]


def _is_bone(bone: Any) -> bool:
    return isinstance(bone, list) and len(bone) == 2 and all(isinstance(end, int) for end in bone)


def entries(path: Path, tree: Any, key: str) -> list[dict[str, Any]]:
    """The list of this name in a parsed file; InputError where there is none, or its ids are not unique."""
    if not isinstance(tree, dict) or not isinstance(tree.get(key), list):
        raise InputError(f"{path}: no list '{key}'; expected COCO's layout")
    seen: set[int] = set()
    for number, entry in enumerate(tree[key]):
        identity = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(identity, int) or abs(identity) >= 2**63:
            raise InputError(f"{path}: {key}: entry {number} is not an object with a whole number as 'id'")
        if identity in seen:
            raise InputError(f"{path}: {key}: id {identity} stands twice; ids must be unique")
        seen.add(identity)
    return tree[key]


def category_skeleton(
    category: Mapping[str, Any],
    path: Path,
    oks_sigmas: tuple[float, ...] | None = None,
    flip_pairs: FlipPairs | None = None,
) -> Skeleton:
    """Names, pairs and bones of a category entry; OKS constants and pairs as given, else by name, else the default.

    flip_pairs: names of joints that change places when a picture is mirrored. path is for messages.
    Raises InputError for another number of constants, and for pairs of joints that are not there or not distinct.
    """
    names, known = category["keypoints"], category_oks_sigmas(category)
    bones = tuple((i - 1, j - 1) for i, j in category.get("skeleton") or [])
    twins = twins_of(flip_pairs, names, path)
    skeleton = Skeleton(tuple(names), bones, tuple(sigma or DEFAULT_OKS_SIGMA for sigma in known), twins)
    if skeleton.without_twin:
        log.warning(
            "%s: %s: no joint of the other side with this name; mirrored pictures will teach them wrongly, so "
            "correct the names or set augment.flip_prob=0 eval.flip_test=false",
            path,
            ", ".join(skeleton.without_twin),
        )
    if oks_sigmas is not None:
        if len(oks_sigmas) != len(names):
            raise InputError(f"data.oks_sigmas: expected {len(names)} values for {path}, got {len(oks_sigmas)}")
        return replace(skeleton, oks_sigmas=oks_sigmas)
    unknown = [name for name, sigma in zip(names, known, strict=True) if sigma is None]
    if unknown:
        log.warning(
            "%s: no OKS constant known for %s: using %g; set data.oks_sigmas to change it",
            path,
            ", ".join(unknown),
            DEFAULT_OKS_SIGMA,
        )
    return skeleton
