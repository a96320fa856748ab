"""Run many trainings in parallel, each in one thread of its own process."""

import multiprocessing
from collections.abc import Iterable, Sequence
from functools import partial

import torch
from tqdm import tqdm

from rlepose.errors import InputError
from rlepose.study.density import LOSS_CONFIGS, Case, Result, study

# Steps at which training is evaluated; the last step is added.
JUDGED_STEPS = (50, 100, 250, 500, 1000)


def run_cases(
    losses: Sequence[str], noises: Sequence[str], seeds: int, steps: int, processes: int, title: str = "trainings"
) -> list[Result]:
    """Train every loss on every noise with the seeds 0 … seeds − 1, for `steps` steps; results are in this order.

    Shows a progress bar. The results do not depend on the number of processes.
    Raises InputError if one of the three numbers is below 1.
    """
    for option, value in {"--seeds": seeds, "--steps": steps, "--processes": processes}.items():
        if value < 1:
            raise InputError(f"{option}: expected 1 or more, got {value}")
    cases = [Case(loss, noise, seed) for loss in losses for noise in noises for seed in range(seeds)]
    # Slow losses are last in LOSS_CONFIGS; they start first, so that all processes end at about the same time.
    order = sorted(cases, key=lambda case: -list(LOSS_CONFIGS).index(case.loss))
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(processes, len(cases)), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        results = pool.imap_unordered(partial(study, steps=judged_steps(steps)), order)
        found = {result.case: result for result in tqdm(results, desc=title, total=len(cases), unit="training")}
    return [found[case] for case in cases]


def judged_steps(steps: int) -> tuple[int, ...]:
    """Return the steps at which a training of this length is evaluated."""
    return (*(step for step in JUDGED_STEPS if step < steps), steps)


def losses_and_noises(results: Iterable[Result]) -> tuple[list[str], list[str]]:
    """Return the losses and noises of these trainings, once each, in order of appearance."""
    cases = [result.case for result in results]
    return list(dict.fromkeys(case.loss for case in cases)), list(dict.fromkeys(case.noise for case in cases))
