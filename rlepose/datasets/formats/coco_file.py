"""Parse and check keypoint files in COCO's JSON layout."""

import itertools
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from rlepose.datasets.category_groups import category_groups_of, category_oks_sigmas, spread, united
from rlepose.datasets.formats.coco_entries import entries, person_entry, whole_number
from rlepose.datasets.formats.json_file import read_json
from rlepose.datasets.formats.missing_boxes import lacks_box, made_box
from rlepose.datasets.options import MissingBoxes
from rlepose.errors import InputError
from rlepose.pose.sides import sided_names
from rlepose.pose.skeleton import DEFAULT_OKS_SIGMA, FlipPairs, Skeleton, skeleton_from_names, twins_of

log = logging.getLogger(__name__)

_LARGEST_SIDE = 1_000_000  # pixels


class Pictures:
    """The pictures listed in a file in COCO's layout, which may be an image info file without labels.

    images: as in the file, with whole numbers as ids and sizes. file_names (M,) and size_wh (M, 2) px: of each picture.
    Raises InputError when they are not in COCO's layout. Names and sizes that cannot be right are refused by `require`,
    so that a picture that nobody needs stops nothing.
    """

    def __init__(self, path: Path, tree: Any) -> None:
        self.path = path
        self.images = entries(path, tree, "images")
        self.row_of_image = {image["id"]: row for row, image in enumerate(self.images)}
        self._problems: dict[int, str] = {}
        self.file_names = [self._file_name(image) for image in self.images]
        sizes = [self._size_wh(image) for image in self.images]
        self.size_wh = np.array(sizes, np.int32).reshape(-1, 2)

    def require(self, rows: Iterable[int]) -> None:
        """InputError for the first of these pictures, by row, whose name or size cannot be right."""
        for row in rows:
            if row in self._problems:
                raise InputError(f"{self.path}: image {self.images[row]['id']}: {self._problems[row]}")

    def _file_name(self, image: dict[str, Any]) -> str:
        name = image.get("file_name")
        if not isinstance(name, str) or not name:
            self._problems[self.row_of_image[image["id"]]] = f"'file_name' is missing or no text ({name!r}); add it"
            return ""
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise InputError(
                f"{self.path}: image {image['id']}: the file name {name!r} leads outside the picture folder; make it "
                "relative to that folder"
            )
        return name

    def _size_wh(self, image: dict[str, Any]) -> tuple[int, int]:
        width, height = whole_number(image.get("width")), whole_number(image.get("height"))
        if width is not None and height is not None and 0 < width < _LARGEST_SIDE and 0 < height < _LARGEST_SIDE:
            return width, height
        got = " x ".join(str(image.get(key, "nothing")) for key in ("width", "height"))
        self._problems.setdefault(
            self.row_of_image[image["id"]],
            f"its size, {got}, is not a picture's; write its width and height in whole pixels",
        )
        return 0, 0


class CocoFile(Pictures):
    """One annotation file.

    images, annotations (of the chosen categories, on the file's pictures) and category are as in the file, with whole
    numbers as ids; where several categories are chosen, category is the first of them, with their names in a list, or
    'all'. category_names: names of the chosen categories by id. groups: their groups. If there are several,
    category has the union of their joints, and so have the annotations: the other groups' without label.
    left_out: how many other annotations there are, by reason; wrong_ids: how many of them
    have ids that none of the file's lists has.
    category: name of the category to take, names of several, or 'all' that have keypoints; None takes the only one.
    Categories of one name are taken together.
    missing_boxes: what becomes of persons without a box, as `data.missing_boxes`; made_boxes: ids of those
    whose box was made.
    joints: a skeleton of as many joints in the same order; its names and bones replace the file's own, which in files
    of some data sets are misspelled. Sides must agree. Bones that count joints from 0 are understood.
    Raises InputError when the file is missing, broken, or not keypoints in COCO's layout.
    """

    def __init__(
        self,
        path: str | Path,
        category: str | Sequence[str] | None = None,
        joints: Skeleton | None = None,
        missing_boxes: MissingBoxes = "joints",
    ) -> None:
        path = Path(path)
        tree = read_json(path, "annotation file")
        super().__init__(path, tree)
        annotations = [person_entry(path, annotation) for annotation in entries(path, tree, "annotations")]
        categories = entries(path, tree, "categories")
        chosen = self._choose_categories(categories, category)
        if joints is not None:
            chosen = [self._with_joints_renamed(entry, joints) for entry in chosen]
        chosen = [self._with_bones_from_1(entry) for entry in chosen]
        for entry in chosen:
            self._check_joints(entry)
        self.groups = category_groups_of(chosen)
        self.category = chosen[0] if len(self.groups) == 1 else united(chosen)
        if len(chosen) > 1:
            distinct = list(dict.fromkeys(entry.get("name") for entry in chosen))
            alone = distinct[0] if len(distinct) == 1 else distinct
            self.category = self.category | {"name": category if category == "all" else alone}
        self.category_names = {entry["id"]: str(entry.get("name")) for entry in chosen}
        names_by_id = {entry["id"]: str(entry.get("name")) for entry in categories}
        self.annotations = []
        self.wrong_ids, others = Counter[str](), Counter[str]()
        for annotation in annotations:
            mistake = self._wrong_id(annotation, names_by_id)
            if mistake is not None:
                self.wrong_ids[mistake] += 1
            elif annotation["category_id"] not in self.category_names:
                others[f"of category {names_by_id[annotation['category_id']]}"] += 1
            else:
                self.annotations.append(annotation)
        self.left_out = self.wrong_ids + others
        if len(self.groups) > 1:
            self._check_joints(self.category)
            self._spread_joints()
        self._check_boxes()
        self.made_boxes = self._make_boxes(missing_boxes)

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
        by_name: dict[str, list[dict[str, Any]]] = {}
        for entry in with_keypoints:
            by_name.setdefault(str(entry.get("name")), []).append(entry)
        names = ", ".join(by_name)
        if not with_keypoints:
            raise InputError(
                f"{self.path}: no category has a list 'keypoints' with the joints' names; add it to the category, in "
                "the labels' order, or give another file if these are no keypoints"
            )
        if wanted is None and len(by_name) > 1:
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
            raise InputError(f"{self.path}: data.category: {what}; choose from {names}, or all")
        return [entry for name in chosen for entry in by_name[name]]

    def _wrong_id(self, annotation: dict[str, Any], categories: Mapping[int, str]) -> str | None:
        """Return what is wrong with an annotation's category_id or image_id, None if both are in the file's lists."""
        category = annotation.get("category_id")
        if category is None:
            return "without a category_id, or with null"
        if category not in categories:
            return f"of category {category}, which 'categories' lacks"
        return None if annotation.get("image_id") in self.row_of_image else "with an image_id that 'images' lacks"

    def _make_boxes(self, how: MissingBoxes) -> frozenset[int]:
        """Give persons a box who have none; -> their ids."""
        made = set()
        for number, annotation in enumerate(self.annotations):
            if not lacks_box(annotation) or annotation.get("iscrowd"):
                continue
            row = self.row_of_image[annotation["image_id"]]
            box = made_box(annotation, tuple(self.size_wh[row].tolist()), how)
            if box is not None:
                self.annotations[number] = annotation | {"bbox": box}
                made.add(annotation["id"])
        return frozenset(made)

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
        """Check all boxes, including the boxes of crowds and unlabelled persons, because the evaluation uses them."""
        for annotation in self.annotations:
            box = annotation.get("bbox")
            if box is not None and not (
                isinstance(box, list) and len(box) == 4 and all(isinstance(side, int | float) for side in box)
            ):
                raise InputError(f"{self.path}: annotation {annotation['id']}: bbox: expected 4 numbers, got {box}")
            area = annotation.get("area")
            if area is not None and not (isinstance(area, int | float) and isfinite(area)):
                raise InputError(
                    f"{self.path}: annotation {annotation['id']}: area: expected a finite number, got {area!r}"
                )

    def _with_joints_renamed(self, category: dict[str, Any], joints: Skeleton) -> dict[str, Any]:
        found = category["keypoints"]
        alike = isinstance(found, list) and len(found) == len(joints) and all(isinstance(name, str) for name in found)
        if not alike or _sides(found) != _sides(joints.names):
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


def _sides(names: Sequence[str]) -> list[str | None]:
    return [None if sided is None else sided.side for sided in sided_names(names)]


def _is_bone(bone: Any) -> bool:
    return isinstance(bone, list) and len(bone) == 2 and all(isinstance(end, int) for end in bone)


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
            extra={"once": ("without twin", *skeleton.without_twin)},
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
            extra={"once": ("no OKS constant", *unknown)},
        )
    return skeleton
