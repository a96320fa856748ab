"""Prepare a data set for its config: python scripts/prepare_data.py coco

Downloads the files that need no registration, says where to get the rest, converts annotations to COCO's layout and
checks them. Run the command again to continue after an interruption. docs/datasets.md lists the data sets and their
licences.
"""

from rlepose.cli import run_as_script

if __name__ == "__main__":
    run_as_script("prepare")
