"""Export a checkpoint for other runtimes: python scripts/export.py --checkpoint exp/NAME/checkpoints/best.pt"""

from rlepose.cli import run_as_script

if __name__ == "__main__":
    run_as_script("export")
