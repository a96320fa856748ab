"""Whether a file can validate what another one trains."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rlepose.datasets.formats.coco import persons_from_annotations
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.persons import PersonTable
from rlepose.datasets.picture_survey import Survey, survey
from rlepose.errors import InputError
from rlepose.inspection.problems import label_problems, picture_problems


def check_validation(
    coco: CocoFile, table: PersonTable, val: tuple[Path, Path], category: str | Sequence[str]
) -> tuple[list[str], Survey | None]:
    """Return sentences on what keeps a file from validating, each with what to mend, and the survey of its pictures.

    coco, table: the file to train on. val: annotations and pictures to validate on. category: `data.category`.
    """
    path, images = val
    if path.exists() and path.samefile(coco.path):
        return [f"--val: {path} is the file to train on; give another one (`rlepose split` makes two of one)"], None
    try:
        other = CocoFile(path, category)
        others = persons_from_annotations(other, images)
    except InputError as error:
        return [f"--val: {error}"], None
    problems = []
    if other.category["keypoints"] != coco.category["keypoints"]:
        problems.append(
            f"{path}: the joints ({', '.join(other.category['keypoints'])}) differ from those in {coco.path} "
            f"({', '.join(coco.category['keypoints'])}); both files must list the same joints in the same order"
        )
    found = survey(others)
    problems += label_problems(other, others) + picture_problems(others, found) + _shared_pictures(table, others)
    return [f"--val: {problem}" for problem in problems], found


def _shared_pictures(table: PersonTable, others: PersonTable) -> list[str]:
    trained, validated = (
        {each.picture_path(row).absolute() for row in np.unique(each.image_index).tolist()} for each in (table, others)
    )
    shared = sorted(trained & validated)
    if not shared:
        return []
    return [
        f"{len(shared)} of {len(validated)} pictures are also pictures to train on, first {shared[0]}; validate on "
        "others (`rlepose split` splits a file)"
    ]
