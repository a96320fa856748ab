"""Draw people in 3-D: images from four calibrated cameras in Human3.6M's format, and 2-D images in MPII's."""

from rlepose.cli import run_as_script

if __name__ == "__main__":
    run_as_script("draw-people-3d")
