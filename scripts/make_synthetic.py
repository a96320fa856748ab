"""Draw the synthetic data set: JPEG files and COCO keypoint JSON for train and val."""

from rlepose.cli import run_as_script

if __name__ == "__main__":
    run_as_script("draw-people")
