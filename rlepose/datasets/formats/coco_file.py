"""Parse and check keypoint files in COCO's JSON layout."""

import itertools
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rlepose.datasets.category_groups import category_groups_of, category_oks_sigmas, spread, united
from rlepose.errors import InputError
from rlepose.pose.skeleton import DEFAULT_OKS_SIGMA, FlipPairs, Skeleton, side_of, skeleton_from_names, twins_of

log = logging.getLogger(__name__)

CHECK_ROOT = "check data.root and the paths below it"

_LARGEST_SIDE = 1_000_000  # pixels
_LARGEST_FILE = 2 * 10**9  # bytes: eight times COCO's largest
_IMAGE_TYPES: Mapping[str, type] = {"file_name": str, "width": int, "height": int}


class Pictures:
    """The pictures listed in a file in COCO's layout, which may be an image info file without labels.

    images: as in the file. Raises InputError if they are not in COCO's layout.
    """

    def __init__(self, path: Path, tree: Any) -> None:
        self.path = path
        self.images = entries(path, tree, "images")
        self._check_images()

    def _check_images(self) -> None:
        for image in self.images:
            for key, kind in _IMAGE_TYPES.items():
                if not isinstance(image.get(key), kind):
                    raise InputError(
                        f"{self.path}: image {image['id']}: '{key}' is missing or is not of type {kind.__name__}"
                    )
            if not (0 < image["width"] < _LARGEST_SIDE and 0 < image["height"] < _LARGEST_SIDE):
                raise InputError(
                    f"{self.path}: image {image['id']}: {image['width']} x {image['height']} pixels is not a valid size"
                )
            if Path(image["file_name"]).is_absolute() or ".." in Path(image["file_name"]).parts:
                raise InputError(
                    f"{self.path}: image {image['id']}: the file name {image['file_name']!r} leads outside the picture "
                    "folder; make it relative to that folder"
                )


class CocoFile(Pictures):
    """One annotation file.

    images, annotations (of the chosen categories) and category are as in the file. If several categories are chosen,
    category is the first of them, with the union of their joints if these differ; annotations then have the union's
    joints, unlabelled for joints of other groups. groups: the groups of the chosen categories.

    Args:
        path: the file.
        category: name of a category, a list of names, or 'all' for every category with keypoints; None for the only
            category with keypoints.
        joints: a skeleton with the same number of joints in the same order, whose names and bones replace those in the
            file, because files of some data sets misspell them. Sides must agree. Bones in the file may count joints
            from 0.

    Raises InputError if the file is missing, broken, or contains no keypoints in COCO's layout.
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
        """Return the joints of the chosen category; for the arguments, see `category_skeleton`."""
        return category_skeleton(self.category, self.path, oks_sigmas, flip_pairs)

    def _choose_categories(
        self, categories: list[dict[str, Any]], wanted: str | Sequence[str] | None
    ) -> list[dict[str, Any]]:
        """Return the chosen categories, at least one."""
        with_keypoints = [c for c in categories if c.get("keypoints")]
        by_name = {str(c.get("name")): c for c in with_keypoints}
        names = ", ".join(by_name)
        if not with_keypoints:
            raise InputError(f"{self.path}: no category has a list 'keypoints'; use a file with keypoints")
        if wanted is None and len(with_keypoints) > 1:
            raise InputError(
                f"{self.path}: several categories have keypoints; set data.category to one of {names}, to a list of "
                "these, or to all"
            )
        if wanted is None or wanted == "all":
            return with_keypoints
        chosen = [wanted] if isinstance(wanted, str) else list(dict.fromkeys(wanted))
        unknown = [name for name in chosen if name not in by_name]
        if unknown or not chosen:
            what = f"no category '{unknown[0]}' with keypoints" if unknown else "an empty list"
            raise InputError(f"{self.path}: data.category: {what}; choose from {names}")
        return [by_name[name] for name in chosen]

    def _spread_joints(self) -> None:
        """Extend all annotations to the union of joints; leave annotations without labels unchanged."""
        joints_of = {identity: group.joints for group in self.groups for identity in group.category_ids}
        for row, annotation in enumerate(self.annotations):
            joints, keypoints = joints_of[annotation["category_id"]], annotation.get("keypoints") or []
            if isinstance(keypoints, list) and not any(keypoints[2::3]):
                continue
            if not isinstance(keypoints, list) or len(keypoints) != 3 * len(joints):
                got = f"{len(keypoints)} values" if isinstance(keypoints, list) else repr(keypoints)
                raise InputError(
                    f"{self.path}: annotation {annotation['id']}: keypoints: expected {3 * len(joints)} numbers for "
                    f"category {annotation['category_id']}, got {got}; write 0, 0, 0 for an unlabelled joint"
                )
            self.annotations[row] = annotation | {"keypoints": spread(keypoints, joints, self.num_keypoints)}

    def _check_boxes(self) -> None:
        """Check all boxes, including those of crowds and unlabelled persons, because the evaluation uses them."""
        for annotation in self.annotations:
            box = annotation.get("bbox")
            if box is not None and not (
                isinstance(box, list) and len(box) == 4 and all(isinstance(side, int | float) for side in box)
            ):
                raise InputError(f"{self.path}: annotation {annotation['id']}: bbox: expected 4 numbers, got {box}")

    def _with_joints_renamed(self, category: dict[str, Any], joints: Skeleton) -> dict[str, Any]:
        found = category["keypoints"]
        alike = isinstance(found, list) and len(found) == len(joints) and all(isinstance(name, str) for name in found)
        if not alike or [side_of(name) for name in found] != [side_of(name) for name in joints.names]:
            raise InputError(f"{self.path}: expected the joints {', '.join(joints.names)}, got {found}; check the file")
        bones = [[i + 1, j + 1] for i, j in joints.bones]
        return category | {"keypoints": list(joints.names), "skeleton": bones}

    def _with_bones_from_1(self, category: dict[str, Any]) -> dict[str, Any]:
        """Convert bones that count joints from 0, as in MPII's files; a bone with joint 0 reveals them."""
        bones, names = category.get("skeleton") or [], category["keypoints"]
        ends = list(itertools.chain(*bones)) if isinstance(bones, list) and all(map(_is_bone, bones)) else []
        if not isinstance(names, list) or 0 not in ends or not 0 <= min(ends) <= max(ends) < len(names):
            return category
        log.info("%s: category %s: the bones count joints from 0", self.path, category["id"])
        return category | {"skeleton": [[i + 1, j + 1] for i, j in bones]}

    def _check_joints(self, category: dict[str, Any]) -> None:
        """Check names and bones of a category; labels are checked when they are converted to arrays."""
        names, bones = category["keypoints"], category.get("skeleton") or []
        where = f"{self.path}: category {category['id']}"
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InputError(f"{where}: 'keypoints' must be a list of joint names")
        spelled_alike = skeleton_from_names(names).ambiguous_names()
        if spelled_alike:
            raise InputError(
                f"{where}: the joint names {', '.join(spelled_alike)} differ only in spelling; rename them"
            )
        for bone in bones if isinstance(bones, list) else [bones]:
            if not _is_bone(bone) or not all(1 <= end <= len(names) for end in bone):
                raise InputError(
                    f"{where}: skeleton entry {bone} is not a pair of joint numbers from 1 to {len(names)}"
                )


def _is_bone(bone: Any) -> bool:
    return isinstance(bone, list) and len(bone) == 2 and all(isinstance(end, int) for end in bone)


def entries(path: Path, tree: Any, key: str) -> list[dict[str, Any]]:
    """Return the list `key` of a parsed file; InputError if it is missing or its ids are not unique."""
    if not isinstance(tree, dict) or not isinstance(tree.get(key), list):
        raise InputError(f"{path}: no list '{key}'; expected COCO's layout")
    seen: set[int] = set()
    for number, entry in enumerate(tree[key]):
        identity = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(identity, int) or abs(identity) >= 2**63:
            raise InputError(f"{path}: {key}: entry {number} is not an object with a whole number as 'id'")
        if identity in seen:
            raise InputError(f"{path}: {key}: id {identity} appears twice; ids must be unique")
        seen.add(identity)
    return tree[key]


def category_skeleton(
    category: Mapping[str, Any],
    path: Path,
    oks_sigmas: tuple[float, ...] | None = None,
    flip_pairs: FlipPairs | None = None,
) -> Skeleton:
    """Return the skeleton of a category entry; OKS constants and pairs as given, else by name, else the default.

    flip_pairs: names of joints that mirroring swaps. path: file to name in messages.
    Raises InputError for a wrong number of constants, and for flip pairs with unknown or repeated joints.
    """
    names, known = category["keypoints"], category_oks_sigmas(category)
    bones = tuple((i - 1, j - 1) for i, j in category.get("skeleton") or [])
    twins = twins_of(flip_pairs, names, path)
    skeleton = Skeleton(tuple(names), bones, tuple(sigma or DEFAULT_OKS_SIGMA for sigma in known), twins)
    if skeleton.without_twin:
        log.warning(
            "%s: %s: no joint with this name on the other side, so mirrored pictures train these joints wrongly; "
            "correct the names, or set augment.flip_prob=0 eval.flip_test=false",
            path,
            ", ".join(skeleton.without_twin),
        )
    if skeleton.unnoticed_twins:
        log.warning(
            "%s: %s: treated as joints in the middle of the body; if they are left and right joints, rename them, for "
            "example to left_hip and right_hip, because mirrored pictures train them wrongly otherwise",
            path,
            ", ".join(skeleton.unnoticed_twins),
        )
    if oks_sigmas is not None:
        if len(oks_sigmas) != len(names):
            raise InputError(f"data.oks_sigmas: expected {len(names)} values for {path}, got {len(oks_sigmas)}")
        return replace(skeleton, oks_sigmas=oks_sigmas)
    unknown = [name for name, sigma in zip(names, known, strict=True) if sigma is None]
    if unknown:
        log.warning(
            "%s: no OKS constant known for %s, using %g; set data.oks_sigmas to change it",
            path,
            ", ".join(unknown),
            DEFAULT_OKS_SIGMA,
        )
    return skeleton


def read_json(path: Path, what: str, fix: str = CHECK_ROOT) -> Any:
    """Parse a JSON file; an InputError names a file that cannot be read. fix: what to do if the file is missing."""
    content = read_file(path, what, fix)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:  # ValueError also for numbers with thousands of digits
        raise InputError(
            f"{path}: the {what} is not valid JSON ({error}); it may be truncated, so download it again"
        ) from error


def read_file(path: Path, what: str, fix: str = CHECK_ROOT) -> bytes:
    """Return the content of a file; an InputError names a file that cannot be read. fix: see `read_json`."""
    try:
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise InputError(
                f"{path}: the {what} has {size / 1e9:.1f} GB, more than the limit of {_LARGEST_FILE / 1e9:.1f} GB, and "
                "needs several times as much memory; split the file, or remove content other than keypoints"
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: the {what} does not exist; {fix}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot read the {what} ({error.strerror})") from error
