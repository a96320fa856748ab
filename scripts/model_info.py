"""Print parameters and multiply-adds of networks, and describe checkpoints:
python scripts/model_info.py --cfg configs/coco_res50_rle.yaml"""

from rlepose.cli import run_as_script

if __name__ == "__main__":
    run_as_script("info")
