"""Keypoints in COCO's JSON layout, of any category with any joints, into a PersonTable and a Skeleton."""

import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.persons import PersonTable
from rlepose.errors import InputError
from rlepose.geometry import clip_boxes
from rlepose.skeleton import DEFAULT_OKS_SIGMA, Skeleton, known_oks_sigma, skeleton_from_names

log = logging.getLogger(__name__)

# Annotators click on a border joint up to a pixel outside.
_OUTSIDE_TOLERANCE_PX = 1.0


class CocoFile:
    """One annotation file, parsed and checked.

    category: name of the category to take; None takes the only one that has keypoints.
    Raises InputError when the file is missing, broken, or not keypoints in COCO's layout.
    """

    def __init__(self, path: str | Path, category: str | None = None) -> None:
        self.path = Path(path)
        tree = read_json(self.path, "annotation file")
        for key in ("images", "annotations", "categories"):
            if not isinstance(tree, dict) or not isinstance(tree.get(key), list):
                raise InputError(f"{self.path}: no list '{key}'; expected COCO's keypoint layout")
        self.images: list[dict[str, Any]] = tree["images"]
        self.category = self._choose_category(tree["categories"], category)
        self.annotations = [a for a in tree["annotations"] if a.get("category_id") == self.category["id"]]
        self._check_images()
        self._check_unique_ids()

    @property
    def num_keypoints(self) -> int:
        return len(self.category["keypoints"])

    def skeleton(self, oks_sigmas: tuple[float, ...] | None = None) -> Skeleton:
        """Names, pairs and bones of the chosen category; OKS constants as given, else by name, else the default."""
        names = [str(name) for name in self.category["keypoints"]]
        bones = [(int(i) - 1, int(j) - 1) for i, j in self.category.get("skeleton", [])]
        for i, j in bones:
            if not (0 <= i < len(names) and 0 <= j < len(names)):
                raise InputError(f"{self.path}: skeleton entry [{i + 1}, {j + 1}] points outside 1 … {len(names)}")
        skeleton = skeleton_from_names(names, bones)
        if oks_sigmas is not None:
            if len(oks_sigmas) != len(names):
                raise InputError(
                    f"data.oks_sigmas: expected {len(names)} values for {self.path}, got {len(oks_sigmas)}"
                )
            return Skeleton(skeleton.names, skeleton.bones, oks_sigmas)
        unknown = [name for name in names if known_oks_sigma(name) is None]
        if unknown:
            log.warning(
                "%s: no OKS constant known for %s: using %g; set data.oks_sigmas to change it",
                self.path,
                ", ".join(unknown),
                DEFAULT_OKS_SIGMA,
            )
        return skeleton

    def _choose_category(self, categories: list[dict[str, Any]], wanted: str | None) -> dict[str, Any]:
        with_keypoints = [c for c in categories if c.get("keypoints")]
        names = ", ".join(str(c.get("name")) for c in with_keypoints)
        if not with_keypoints:
            raise InputError(f"{self.path}: no category has a list 'keypoints'; this is not a keypoint file")
        if wanted is not None:
            with_keypoints = [c for c in with_keypoints if c.get("name") == wanted]
            if not with_keypoints:
                raise InputError(f"{self.path}: data.category: no category '{wanted}' with keypoints; there is {names}")
        if len(with_keypoints) > 1:
            raise InputError(f"{self.path}: several categories have keypoints; set data.category to one of {names}")
        return with_keypoints[0]

    def _check_images(self) -> None:
        for image in self.images:
            for key in ("id", "file_name", "width", "height"):
                if key not in image:
                    raise InputError(f"{self.path}: image {image.get('id')} has no '{key}'")
            if Path(image["file_name"]).is_absolute() or ".." in Path(image["file_name"]).parts:
                raise InputError(
                    f"{self.path}: image {image['id']}: the file name {image['file_name']!r} leads out of the picture "
                    "folder; make it relative to that folder"
                )

    def _check_unique_ids(self) -> None:
        for kind, entries in (("image", self.images), ("annotation", self.annotations)):
            ids = [entry.get("id") for entry in entries]
            if len(set(ids)) != len(ids):
                twice = next(i for i in ids if ids.count(i) > 1)
                raise InputError(f"{self.path}: {kind} id {twice} stands twice; ids must be unique")
            if None in ids:
                raise InputError(f"{self.path}: an {kind} has no 'id'; number them")


def read_json(path: Path, what: str) -> Any:
    """Parse a JSON file; InputError names it when it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: the {what} does not exist; check data.root and the paths below it") from None
    except OSError as error:
        raise InputError(f"{path}: cannot read the {what} ({error.strerror})") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: the {what} is not valid JSON ({error}); it may be cut off: fetch it again"
        ) from error


def persons_from_annotations(coco: CocoFile, image_root: str | Path) -> PersonTable:
    """The labelled persons of a file.

    Left out and counted in the log, as in the original: crowds, persons of no area, boxes without an inside, and
    persons without a labelled joint. Labels outside their picture count as no label. InputError for numbers that
    cannot be right and when nobody remains.
    """
    image_row = {image["id"]: row for row, image in enumerate(coco.images)}
    sizes = _image_sizes(coco)
    left_out: Counter[str] = Counter()
    rows, keep = [], []
    for annotation in coco.annotations:
        reason = _reason_to_leave_out(annotation)
        if reason is None:
            row = _row_of_image(coco, annotation, image_row)
            box = clip_boxes(_finite(coco, annotation, "bbox", 4), sizes[row])
            reason = "box without an inside" if min(box[2], box[3]) <= 0 else None
        if reason is None:
            keep.append((annotation, row, box))
            rows.append(_finite(coco, annotation, "keypoints", 3 * coco.num_keypoints))
        else:
            left_out[reason] += 1
    keypoints = np.array(rows, np.float32).reshape(len(keep), coco.num_keypoints, 3)
    image_index = np.array([row for _, row, _ in keep], np.int64)
    visible = _labelled_inside(coco, keypoints, sizes[image_index])
    table = _table(
        coco,
        image_root,
        person_ids=np.array([annotation["id"] for annotation, _, _ in keep], np.int64),
        image_index=image_index,
        bbox_xywh=np.array([box for _, _, box in keep], np.float32).reshape(-1, 4),
        box_score=np.ones(len(keep), np.float32),
        keypoints=np.where(visible[..., None] > 0, keypoints[..., :2], 0),
        visible=visible,
    )
    labelled = np.asarray(visible.any(axis=1))
    left_out["no labelled joint inside the picture"] += int((~labelled).sum())
    table = table.select(labelled)
    counts = ", ".join(f"{count} × {reason}" for reason, count in left_out.items() if count) or "none"
    log.info("%s: %d persons in %d pictures; left out: %s", coco.path, len(table), len(coco.images), counts)
    if not len(table):
        raise InputError(f"{coco.path}: no persons with labelled keypoints (left out: {counts}); check the file")
    return table


def persons_from_detections(coco: CocoFile, image_root: str | Path, path: str | Path) -> PersonTable:
    """The boxes of a detection file in COCO results format, on the pictures of `coco`, without labels."""
    path = Path(path)
    entries = read_json(path, "detection file")
    if not isinstance(entries, list) or not all(isinstance(e, dict) and "bbox" in e for e in entries):
        raise InputError(f"{path}: expected a list of {{image_id, category_id, bbox, score}}, COCO's results format")
    image_row = {image["id"]: row for row, image in enumerate(coco.images)}
    sizes = _image_sizes(coco)
    kept = []
    for number, entry in enumerate(entries):
        if entry.get("category_id", coco.category["id"]) != coco.category["id"]:
            continue
        row = image_row.get(entry.get("image_id"))
        box = np.asarray(entry["bbox"], float)
        score = entry.get("score")
        if row is None:
            raise InputError(
                f"{path}: entry {number}: no picture {entry.get('image_id')!r} in {coco.path}; wrong split?"
            )
        if box.shape != (4,) or not np.isfinite(box).all() or not isinstance(score, int | float) or score != score:
            raise InputError(f"{path}: entry {number}: expected bbox [x, y, w, h] and a finite score, got {entry}")
        kept.append((number, row, score, clip_boxes(box, sizes[row])))
    kept = [item for item in kept if min(item[3][2:]) > 0]
    log.info("%s: %d boxes of category '%s'", path, len(kept), coco.category["name"])
    return _table(
        coco,
        image_root,
        person_ids=np.array([number for number, _, _, _ in kept], np.int64),
        image_index=np.array([row for _, row, _, _ in kept], np.int64),
        bbox_xywh=np.array([box for _, _, _, box in kept], np.float32).reshape(-1, 4),
        box_score=np.array([score for _, _, score, _ in kept], np.float32),
        keypoints=np.zeros((len(kept), coco.num_keypoints, 2), np.float32),
        visible=np.zeros((len(kept), coco.num_keypoints), np.uint8),
    )


def _table(coco: CocoFile, image_root: str | Path, **persons: NDArray[Any]) -> PersonTable:
    return PersonTable(
        image_root=Path(image_root),
        image_ids=np.array([image["id"] for image in coco.images], np.int64),
        image_files=np.array([image["file_name"] for image in coco.images], np.str_),
        image_size_wh=_image_sizes(coco),
        **persons,
    )


def _image_sizes(coco: CocoFile) -> NDArray[np.int32]:
    return np.array([(image["width"], image["height"]) for image in coco.images], np.int32).reshape(-1, 2)


def _reason_to_leave_out(annotation: dict[str, Any]) -> str | None:
    if annotation.get("iscrowd"):
        return "crowd"
    if annotation.get("area", 1) <= 0:
        return "no area"
    if not any(annotation.get("keypoints", ())[2::3]):
        return "no labelled joint"
    return None


def _row_of_image(coco: CocoFile, annotation: dict[str, Any], image_row: dict[int, int]) -> int:
    row = image_row.get(annotation.get("image_id", -1))
    if row is None:
        raise InputError(
            f"{coco.path}: annotation {annotation['id']}: no picture {annotation.get('image_id')!r} in 'images'"
        )
    return row


def _finite(coco: CocoFile, annotation: dict[str, Any], key: str, length: int) -> NDArray[np.float64]:
    values = annotation.get(key)
    where = f"{coco.path}: annotation {annotation['id']}: {key}"
    if not isinstance(values, list) or len(values) != length:
        got = len(values) if isinstance(values, list) else repr(values)
        raise InputError(f"{where}: expected {length} numbers, got {got}")
    try:
        array = np.array(values, float)
    except (TypeError, ValueError):
        raise InputError(f"{where}: expected numbers, got {values}") from None
    if not np.isfinite(array).all():
        raise InputError(f"{where}: holds NaN or infinity; mark a joint without label as 0, 0, 0")
    return array


def _labelled_inside(coco: CocoFile, keypoints: NDArray[np.float32], size_wh: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Visibility (N, K), with 0 for labels that lie outside their picture."""
    xy, visible = keypoints[..., :2], keypoints[..., 2]
    limit = size_wh[:, None, :] - 1 + _OUTSIDE_TOLERANCE_PX
    inside = ((xy >= -_OUTSIDE_TOLERANCE_PX) & (xy <= limit)).all(axis=-1)
    outside = (visible > 0) & ~inside
    if outside.any():
        log.warning("%s: %d labels lie outside their picture and count as no label", coco.path, int(outside.sum()))
    return np.where(inside, visible, 0).astype(np.uint8)
