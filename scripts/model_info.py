"""What configs' networks cost: python scripts/model_info.py --cfg configs/coco_res50_rle.yaml"""

import argparse

import torch

from rlepose.config.reading import load_config
from rlepose.errors import run_script
from rlepose.models.cost import format_costs, model_cost
from rlepose.models.speed import crops_per_second
from rlepose.runtime.distributed import choose_device


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cfg", required=True, nargs="+", help="YAML files of experiments")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override options")
    parser.add_argument("--measure", action="store_true", help="time the networks, too, in turns, on this machine")
    args = parser.parse_args()

    configs = [load_config(path, args.set) for path in args.cfg]
    print(format_costs({config.name: model_cost(config) for config in configs}))
    print("multiply-adds of one crop: convolutions and matrix products, by torch.utils.flop_counter over two")
    if args.measure:
        device = choose_device(configs[0].system.device)
        for name, speed in crops_per_second({config.name: config for config in configs}, device).items():
            print(f"{name}: {speed:.1f} crops/s at batch 16 in float32 on {device}, {torch.get_num_threads()} threads")


if __name__ == "__main__":
    run_script(main)
