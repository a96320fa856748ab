"""Split a keypoint file into parts that share no group: python scripts/split_dataset.py FILE.json --group-key group"""

from rlepose.cli import run_as_script

if __name__ == "__main__":
    run_as_script("split")
