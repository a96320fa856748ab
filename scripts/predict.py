"""Predict and draw the poses in images or a video:
python scripts/predict.py FOLDER --checkpoint exp/NAME/checkpoints/best.pt --out poses"""

from rlepose.cli import run_as_script

if __name__ == "__main__":
    run_as_script("predict")
