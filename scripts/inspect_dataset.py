"""Check a keypoint file before training: python scripts/inspect_dataset.py FILE.json --images FOLDER"""

from rlepose.cli import run_as_script

if __name__ == "__main__":
    run_as_script("inspect")
