"""`rlepose train`."""

import argparse

from rlepose.commands.arguments import add_overrides, path_text
from rlepose.commands.command import Command
from rlepose.config.shipped import find_config


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cfg", required=True, type=path_text, help="config file of the experiment")
    add_overrides(parser)
    parser.add_argument("--name", help="name of the experiment's folder; default: the name of the config file")
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help="continue from the experiment's last checkpoint")
    existing.add_argument(
        "--requeue",
        action="store_true",
        help="continue from a checkpoint if there is one, else start anew: for schedulers",
    )
    existing.add_argument("--overwrite", action="store_true", help="delete an existing run of the same name first")
    parser.add_argument(
        "--profile",
        type=int,
        metavar="N",
        help="report what N steps wait for, record N steps with torch's profiler, and stop",
    )


def _check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if args.profile is not None and args.profile < 1:
        parser.error("--profile: expected at least 1 step")


def _run(args: argparse.Namespace) -> None:
    from rlepose.config.reading import load_config
    from rlepose.jobs.train import train
    from rlepose.runtime.distributed import ranks
    from rlepose.runtime.run_log import setup_logging

    config = load_config(find_config(args.cfg), [*args.set, *([f"name={args.name}"] if args.name else [])])
    with ranks(config.system) as group:
        setup_logging(group.is_main)
        train(config, group, args.resume, args.overwrite, args.requeue, args.profile)


COMMAND = Command(
    name="train",
    summary="Train a network",
    example="--cfg configs/coco_res50_rle.yaml",
    add_arguments=_add_arguments,
    check=_check,
    run=_run,
)
