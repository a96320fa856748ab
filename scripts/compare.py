"""Train and validate every row of a suite and tabulate the results:
python scripts/compare.py --suite configs/suites/lspet64_losses.yaml

Started again, the command skips finished runs and resumes interrupted ones. Exit codes: 0, all runs are finished; 75,
--hours or a signal stopped the command, so start it again; 1, a run failed and all others are finished; 2, an argument
or a file is wrong.
"""

from rlepose.cli import run_as_script

if __name__ == "__main__":
    run_as_script("compare")
