"""The HTML report on one or several experiments; docs/report.md explains it."""

from collections.abc import Sequence
from pathlib import Path

from rlepose.evaluation.results import write_whole
from rlepose.reporting.in_picture import MeasuredInPicture
from rlepose.reporting.in_space import MeasuredInSpace
from rlepose.reporting.measured import Measured
from rlepose.reporting.page_parts import page
from rlepose.reporting.sections_in_picture import sections_in_picture
from rlepose.reporting.sections_in_space import sections_in_space


def write_report(path: Path, experiments: Sequence[Measured]) -> None:
    """Write the report on experiments that are all in 2-D or all in 3-D, and create its folder."""
    names = ", ".join(experiment.name for experiment in experiments)
    in_picture = [e for e in experiments if isinstance(e, MeasuredInPicture)]
    in_space = [e for e in experiments if isinstance(e, MeasuredInSpace)]
    sections = sections_in_picture(in_picture) if in_picture else sections_in_space(in_space)
    write_whole(path, page(f"Pose estimation: {names}", sections).encode())
