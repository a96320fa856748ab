"""Parameters and multiply-adds of configs' networks: python scripts/model_info.py --cfg configs/coco_res50_rle.yaml"""

import argparse

from rlepose.config_reading import load_config
from rlepose.errors import run_script
from rlepose.models.cost import format_costs, model_cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cfg", required=True, nargs="+", help="YAML files of experiments")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="override options")
    args = parser.parse_args()

    configs = [load_config(path, args.set) for path in args.cfg]
    print(format_costs({config.name: model_cost(config) for config in configs}))
    print("multiply-adds of one crop: convolutions and matrix products, by torch.utils.flop_counter over two")


if __name__ == "__main__":
    run_script(main)
