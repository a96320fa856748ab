"""Many trainings at once, each in one thread of a process of its own."""

import multiprocessing
from collections.abc import Iterable, Sequence
from functools import partial

import torch
from tqdm import tqdm

from rlepose.errors import InputError
from rlepose.study.density import LOSS_CONFIGS, Case, Result, study

# Where training is interrupted to be judged; the last step comes on top.
JUDGED_STEPS = (50, 100, 250, 500, 1000)


def run_cases(
    losses: Sequence[str], noises: Sequence[str], seeds: int, steps: int, processes: int, title: str = "trainings"
) -> list[Result]:
    """Train every loss on every noise with the seeds 0 … seeds − 1, for `steps` steps; results in this order.

    Shows a progress bar. The results do not depend on the number of processes.
    Raises InputError where one of the three numbers is below 1.
    """
    for option, value in {"--seeds": seeds, "--steps": steps, "--processes": processes}.items():
        if value < 1:
            raise InputError(f"{option} {value}: give 1 or more")
    cases = [Case(loss, noise, seed) for loss in losses for noise in noises for seed in range(seeds)]
    # The slow losses stand last in LOSS_CONFIGS; they go first, so that all processes end at about the same time.
    order = sorted(cases, key=lambda case: -list(LOSS_CONFIGS).index(case.loss))
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(processes, len(cases)), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        results = pool.imap_unordered(partial(study, steps=judged_steps(steps)), order)
        found = {result.case: result for result in tqdm(results, desc=title, total=len(cases), unit="training")}
    return [found[case] for case in cases]


def judged_steps(steps: int) -> tuple[int, ...]:
    """Of a training of this length."""
    return (*(step for step in JUDGED_STEPS if step < steps), steps)


def losses_and_noises(results: Iterable[Result]) -> tuple[list[str], list[str]]:
    """Of these trainings, each once, in order of appearance."""
    cases = [result.case for result in results]
    return list(dict.fromkeys(case.loss for case in cases)), list(dict.fromkeys(case.noise for case in cases))
