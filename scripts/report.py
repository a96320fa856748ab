"""Write an HTML report that compares experiments: python scripts/report.py exp/NAME [exp/OTHER …] --out report.html"""

from rlepose.cli import run_as_script

if __name__ == "__main__":
    run_as_script("report")
