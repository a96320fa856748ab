"""Train, validate and tabulate a suite: python scripts/compare.py --suite configs/suites/lspet64_losses.yaml

Started again, it skips what is finished and goes on with what is not. Exit codes: 0, all is finished; 75, stopped by
--hours or a signal before that, so start it again; 1, a run failed, all else is finished; 2, a wrong argument or file.
"""

from rlepose.cli import run_as_script

if __name__ == "__main__":
    run_as_script("compare")
