"""Train a network: python scripts/train.py --cfg configs/coco_res50_rle.yaml"""

from rlepose.cli import run_as_script

if __name__ == "__main__":
    run_as_script("train")
