"""Validate a checkpoint, or write COCO's test-dev submission:
python scripts/validate.py --checkpoint exp/coco_res50_rle/checkpoints/best.pt"""

from rlepose.cli import run_as_script

if __name__ == "__main__":
    run_as_script("validate")
