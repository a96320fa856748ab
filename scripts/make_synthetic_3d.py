"""Draw people in space: pictures of four calibrated cameras in Human3.6M's format, and a 2-D part in MPII's."""

from rlepose.cli import run_as_script

if __name__ == "__main__":
    run_as_script("draw-people-3d")
