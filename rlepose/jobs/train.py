"""Train a config in its experiment folder."""

import contextlib
from collections.abc import Callable
from typing import Any

from rlepose.config.config import Config
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.experiment import Experiment
from rlepose.runtime.origin import origin
from rlepose.runtime.run_log import log_to_file
from rlepose.tasks.lifting import Lifting
from rlepose.tasks.pose_task import PoseTask
from rlepose.tasks.top_down import TopDown
from rlepose.training.trainer import Trainer

# By model.name.
TASKS: dict[str, Callable[[Config, Ranks, bool], PoseTask]] = {"top_down": TopDown, "lifting": Lifting}


def train(
    config: Config,
    ranks: Ranks,
    resume: bool = False,
    overwrite: bool = False,
    requeue: bool = False,
    profile: int | None = None,
) -> dict[str, Any]:
    """Train a config in its experiment folder, and return the last validation's metrics.

    Everything is checked before files of an earlier run are changed. requeue: resume if there is a checkpoint, else
    start. profile: do not train, but report what this many steps wait for.
    """
    experiment = Experiment.of(config)
    ranks.on_main(lambda: experiment.check(resume, overwrite, requeue))
    with contextlib.ExitStack() as until_the_end:
        ranks.on_main(lambda: until_the_end.enter_context(experiment.alone()))
        if requeue:  # checked inside the lock, where no other run can save
            resume = ranks.on_main(experiment.has_checkpoint)
        trainer = build_trainer(config, ranks, resume)
        ranks.on_main(lambda: experiment.open(config, resume))
        if ranks.is_main:
            log_to_file(experiment.log_file)
        if profile is not None:
            trainer.profile(profile)
            return {}
        if ranks.is_main:
            experiment.note_start(origin(ranks) | {"persons": trainer.task.num_persons})
        with trainer.stop.listening():
            return trainer.fit()


def build_trainer(config: Config, ranks: Ranks, resume: bool = False) -> Trainer:
    """Return the trainer of a config; InputError for data and options that do not go together.

    resume: continue from the experiment's newest complete checkpoint.
    """
    task = TASKS[config.task](config, ranks, resume)
    return Trainer(task, config.train, Experiment.of(config), ranks, config.system.timeout_s, resume)
