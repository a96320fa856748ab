"""NME in validation: the persons' reference lengths, and files with each person's NME."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.persons import PersonTable
from rlepose.drawing.plots import nme_figure, save_figure
from rlepose.errors import InputError
from rlepose.evaluation.nme import PersonErrors, Reference, describe_reference, person_errors, reference_length
from rlepose.evaluation.results import write_json
from rlepose.evaluation.truth import annotation_area
from rlepose.pose.pose_arrays import Poses
from rlepose.pose.skeleton import Skeleton

log = logging.getLogger(__name__)

NME_FILE = "nme.json"
_UNLABELLED, _ZERO = "reference without label", "reference of length 0"


class NmeEvaluator:
    """Evaluates poses of a table's persons by NME, relative to `eval.nme_reference`.

    annotations: the file's entries of the table's persons, for the annotated box and area. InputError if no person has
    a reference length.
    """

    def __init__(
        self, reference: Reference, table: PersonTable, annotations: Sequence[Mapping[str, Any]], skeleton: Skeleton
    ) -> None:
        self.reference = describe_reference(reference)
        self._table = table
        boxes = np.array([annotation["bbox"] for annotation in annotations], float)
        areas = np.array([annotation_area(annotation) for annotation in annotations], float)
        self._length = reference_length(reference, skeleton, table.keypoints, table.visible, boxes, areas)
        if not (np.nan_to_num(self._length) > 0).any():
            raise InputError(
                f"eval.nme_reference: no person has a reference length, since {self.reference} is unlabelled or 0 for "
                f"all {len(table)} validation persons; use another reference, or null"
            )

    def evaluate(self, poses: Poses, rows: NDArray[np.intp]) -> PersonErrors:
        """Return the NME of the valid poses; rows (N,): each pose's person in the table."""
        table, valid = self._table, rows[poses.valid]
        length = self._length[valid]
        return PersonErrors(
            reference=self.reference,
            person_ids=table.person_ids[valid],
            image_ids=table.person_image_ids()[valid],
            errors=person_errors(poses.keypoints[poses.valid], table.keypoints[valid], table.visible[valid], length),
            left_out=np.select([np.isnan(length), length == 0], [_UNLABELLED, _ZERO], ""),
        )


def write_nme(out: Path, judged: PersonErrors) -> None:
    """Write nme.json, with each person's NME, and nme_curve.png to `out`."""
    columns = (judged.person_ids, judged.image_ids, judged.errors, judged.left_out)
    persons = [
        {"id": person, "image_id": image, "NME": None if reason else error, "left_out": reason or None}
        for person, image, error, reason in zip(*(column.tolist() for column in columns), strict=True)
    ]
    write_json(out / NME_FILE, {"reference": judged.reference, "persons": persons})
    save_figure(out / "nme_curve.png", nme_figure({"all persons": [judged.measured]}, [judged.reference]))
    log.info("diagram         %s", out / "nme_curve.png")


def read_nme(folder: Path) -> PersonErrors:
    """Read the output of `write_nme`."""
    tree = json.loads((folder / NME_FILE).read_text(encoding="utf-8"))
    persons = tree["persons"]
    return PersonErrors(
        reference=tree["reference"],
        person_ids=np.array([person["id"] for person in persons], np.int64),
        image_ids=np.array([person["image_id"] for person in persons], np.int64),
        errors=np.array([person["NME"] for person in persons], float),
        left_out=np.array([person["left_out"] or "" for person in persons], np.str_),
    )
