"""`rlepose info`."""

import argparse

from rlepose.commands.arguments import add_overrides
from rlepose.commands.command import Command
from rlepose.config.shipped import find_config


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cfg", required=True, nargs="+", help="config files of experiments")
    add_overrides(parser)
    parser.add_argument("--measure", action="store_true", help="also time the networks, alternately, on this machine")


def _run(args: argparse.Namespace) -> None:
    import torch

    from rlepose.config.reading import load_config
    from rlepose.models.cost import format_costs, model_cost
    from rlepose.models.speed import crops_per_second
    from rlepose.runtime.distributed import choose_device

    given = [load_config(find_config(path), args.set) for path in args.cfg]
    # A glob may match lifting configs, which read no crops: skip them beside other configs, reject one that is alone.
    configs = [config for config in given if config.task == "top_down"] or given
    print(format_costs({config.name: model_cost(config) for config in configs}))
    print("multiply-adds per crop: convolutions and matrix products, by torch.utils.flop_counter over two")
    if len(configs) < len(given):
        print(f"skipped, because they read no crops: {', '.join(c.name for c in given if c not in configs)}")
    if args.measure:
        device = choose_device(configs[0].system.device)
        for name, speed in crops_per_second({config.name: config for config in configs}, device).items():
            print(f"{name}: {speed:.1f} crops/s at batch 16 in float32 on {device}, {torch.get_num_threads()} threads")


COMMAND = Command(
    name="info",
    summary="Print parameters and multiply-adds of the networks of configs",
    example="--cfg configs/coco_res50_rle.yaml",
    add_arguments=_add_arguments,
    run=_run,
)
