"""Runs and their numbers as training and validation leave them, without the time that these take."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlepose.comparison.suite import Run, Suite, load_suite
from rlepose.pose.skeleton import COCO
from rlepose.runtime.checkpoint import Checkpoint, save_checkpoint

CONFIG = Path(__file__).parents[2] / "configs" / "synthetic_res18_rle.yaml"
ORIGIN = {"time": "2026-01-02T03:04:05+00:00", "commit": "abc", "modified": False, "device": "a CPU"}


def suite_of(folder: Path, text: str, **arguments: Any) -> Suite:
    """The suite of a text, in which CONFIG stands for a config of the project."""
    (folder / "mine.yaml").write_text(text.replace("CONFIG", str(CONFIG)))
    return load_suite(folder / "mine.yaml", **arguments)


def program_in(folder: Path) -> list[str]:
    """What stands in for the program `rlepose`: it runs train.py and validate.py of the folder."""
    program = folder / "program.py"
    program.write_text(
        "import pathlib, runpy, sys\n"
        "runpy.run_path(str(pathlib.Path(__file__).with_name(sys.argv.pop(1) + '.py')), run_name='__main__')\n"
    )
    return [str(program)]


def make_trained(run: Run, history: Sequence[Mapping[str, Any]] = ()) -> None:
    """What train.py leaves of a run that is at its end. history: lines of metrics.jsonl."""
    epochs, experiment = run.config.train.epochs, run.experiment
    progress = {"epoch": epochs, "validated": epochs}
    save_checkpoint(experiment.last, Checkpoint(run.config, COCO, {}, {}, progress, {}, {}, []))
    experiment.best.touch()
    (experiment.folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in history))
    experiment.note_start(ORIGIN | {"persons": {"training": 24, "validation": 12}})


def make_validated(run: Run, metrics: Mapping[str, Any]) -> None:
    """What validate.py leaves of its best checkpoint."""
    results = run.experiment.folder / "results"
    results.mkdir(exist_ok=True)
    (results / "metrics.json").write_text(json.dumps(metrics))
    if "gt/NME" in metrics:
        persons = [(0.05, None), (0.0399999, None), (None, "reference of length 0")]
        keys = ("id", "image_id", "NME", "left_out")
        table = [dict(zip(keys, (number, number, *person), strict=True)) for number, person in enumerate(persons)]
        (results / "nme.json").write_text(json.dumps({"reference": "the box", "persons": table}))
    about = {"config": run.validation.to_dict(), "persons": {"gt": 7}, "origin": ORIGIN}
    (results / "validation.json").write_text(json.dumps(about))
