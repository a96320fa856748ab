"""`rlepose info`."""

import argparse

from rlepose.commands.arguments import a_path, add_overrides, path_text
from rlepose.commands.command import Command
from rlepose.config.shipped import find_config


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cfg", nargs="+", default=[], type=path_text, help="config files of experiments")
    parser.add_argument(
        "--checkpoint",
        nargs="+",
        default=[],
        type=a_path,
        metavar="FILE",
        help="checkpoints; their inputs, outputs and options are printed too",
    )
    add_overrides(parser)
    parser.add_argument("--measure", action="store_true", help="also time the networks, alternately, on this machine")


def _check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if not args.cfg and not args.checkpoint:
        parser.error("no network given; pass --cfg, --checkpoint, or both")


def _run(args: argparse.Namespace) -> None:
    import torch

    from rlepose.config.reading import load_config
    from rlepose.jobs.info import describe_checkpoint, trained_config
    from rlepose.models.cost import format_costs, model_cost
    from rlepose.models.speed import persons_per_second
    from rlepose.runtime.checkpoint import load_checkpoint
    from rlepose.runtime.distributed import choose_device

    checkpoints = {path: load_checkpoint(path) for path in args.checkpoint}
    configs = {config.name: config for config in (load_config(find_config(path), args.set) for path in args.cfg)}
    configs |= {str(path): trained_config(checkpoint, args.set) for path, checkpoint in checkpoints.items()}
    print(format_costs({name: model_cost(config) for name, config in configs.items()}))
    print("multiply-adds per person: convolutions and matrix products, by torch.utils.flop_counter over two")
    for path, checkpoint in checkpoints.items():
        print(f"\n{describe_checkpoint(path, checkpoint)}")
    if args.measure:
        device = choose_device(next(iter(configs.values())).system.device)
        for name, speed in persons_per_second(configs, device).items():
            print(
                f"{name}: {speed:.1f} persons/s at batch 16 in float32 on {device}, {torch.get_num_threads()} threads"
            )


COMMAND = Command(
    name="info",
    summary="Print parameters and multiply-adds of networks, and describe checkpoints",
    example="--cfg configs/coco_res50_rle.yaml",
    add_arguments=_add_arguments,
    check=_check,
    run=_run,
)
