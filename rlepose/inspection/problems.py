"""What keeps a file from being trained on: missing pictures, boxes, areas and orientations that do not fit."""

from typing import Literal

from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.persons import PersonTable
from rlepose.datasets.picture_survey import Survey
from rlepose.inspection.box_layout import other_layout
from rlepose.inspection.suspicions import areas_unlike_boxes

_MANY_AREAS = 0.05  # of the persons: more are no slips of single annotators


def label_problems(coco: CocoFile, table: PersonTable) -> list[str]:
    """Return sentences on boxes and areas, each with what to mend."""
    layout = other_layout(coco)
    if layout is not None:
        return [f"{coco.path}: {layout}"]
    areas = list(areas_unlike_boxes(coco))
    if len(areas) <= _MANY_AREAS * len(table):
        return []
    return [
        f"{coco.path}: {len(areas)} of {len(table)} areas do not fit their boxes, first annotation "
        f"{areas[0].annotation}: {areas[0].what}; OKS, and with it AP, depends on them: write them in px² of the "
        "picture, or leave 'area' out, which takes the box's"
    ]


def picture_problems(table: PersonTable, found: Survey) -> list[str]:
    """Return sentences on missing pictures and on pictures of another size. found: the survey of these pictures."""
    problems = []
    missing = table.missing_pictures()
    if missing:
        problems.append(
            f"{table.describe_missing(missing)}; correct file_name in the annotations, or give the folder that "
            "file_name starts in"
        )
    if found.other_size:
        problems.append(
            f"{len(found.other_size)} of {found.looked_at} pictures have another size than the annotations say, first "
            f"{found.other_size[0]}; use the pictures that were labelled"
        )
    return problems


def orientation(surveys: list[Survey]) -> tuple[Literal["ignore", "apply"], list[str], list[str]]:
    """Return the value of `data.exif` that the annotated sizes ask for, problems, and doubts that sizes leave."""
    turned = [path for found in surveys for path in found.turned]
    stored = [path for found in surveys for path in found.stored]
    upright = [path for found in surveys for path in found.upright]
    if stored and upright:
        return (
            "ignore",
            [
                f"EXIF: the annotations of {len(upright)} pictures have the size of the upright picture, first "
                f"{upright[0]}, and of {len(stored)} the size of the stored one, first {stored[0]}; data.exif is one "
                "for all: label all of them in the same way"
            ],
            [],
        )
    if turned and not stored and not upright:
        doubt = (
            f"{len(turned)} pictures carry an EXIF orientation, first {turned[0]}, and their sizes do not say whether "
            "labels belong to the upright or to the stored picture: look at samples.png, and set data.exif: apply if "
            "the labels lie upside down"
        )
        return "ignore", [], [doubt]
    return "apply" if upright else "ignore", [], []
