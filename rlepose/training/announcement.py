"""Log derived values of a run before its first step."""

import logging

from rlepose.runtime.distributed import Ranks
from rlepose.runtime.experiment import Experiment
from rlepose.training.options import TrainConfig
from rlepose.training.task import Task

log = logging.getLogger(__name__)


def announce(task: Task, options: TrainConfig, experiment: Experiment, ranks: Ranks) -> None:
    """Log the derived values of a run, so that a wrong one is noticed now and not in tomorrow's AP."""
    size = task.order.batch_size
    if size < options.batch_size:
        log.warning(
            "only %d training persons, so a step uses %d instead of train.batch_size=%d",
            *(task.num_persons["training"], size, options.batch_size),
        )
    lines = [
        ("experiment", str(experiment.folder)),
        *task.describe(),
        (
            "batch",
            f"{size} = {ranks.world_size} ranks × {size // ranks.world_size // options.accumulate} × "
            f"{options.accumulate} accumulated; {len(task.order)} steps per epoch",
        ),
    ]
    for name, text in lines:
        log.info("%-15s %s", name, text)
