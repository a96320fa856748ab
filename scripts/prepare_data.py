"""Get a data set ready for its config: python scripts/prepare_data.py coco

Fetches what may be fetched without signing up, tells where to get the rest, converts annotations to COCO's layout and
checks them. An interrupted run goes on when it is started again. docs/datasets.md has the data sets and their licences.
"""

from rlepose.cli import run_as_script

if __name__ == "__main__":
    run_as_script("prepare")
