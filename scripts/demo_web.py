"""Serve a local web page that draws poses: python scripts/demo_web.py --checkpoint exp/NAME/checkpoints/best.pt"""

from rlepose.cli import run_as_script

if __name__ == "__main__":
    run_as_script("demo-web")
