"""Convert an RLE model of the authors' code or of mmpose:
python scripts/convert_checkpoint.py FILE --to rle_res50.pt"""

from rlepose.cli import run_as_script

if __name__ == "__main__":
    run_as_script("convert")
