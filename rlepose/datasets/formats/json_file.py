"""JSON files: read whole, and refused with the cause where they are something else."""

import json
from pathlib import Path
from typing import Any

from rlepose.contents import HEAD_BYTES, foreign_text
from rlepose.errors import InputError

CHECK_ROOT = "check data.root and the paths below it"

_LARGEST_FILE = 2 * 10**9  # bytes: eight times COCO's largest


def read_json(path: Path, what: str, fix: str = CHECK_ROOT) -> Any:
    """Parse a JSON file; InputError names it when it cannot be read. fix: what to do where there is none."""
    return parse_json(read_file(path, what, fix), path, what)


def parse_json(content: bytes, path: Path, what: str) -> Any:
    """Parse the content of a file; InputError names the file and what it is instead of JSON."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:  # ValueError: also a number of thousands of digits
        found = foreign_text(content[:HEAD_BYTES])
        if found is not None:
            raise InputError(f"{path}: the {what} is {found}") from error
        raise InputError(
            f"{path}: the {what} is not valid JSON ({error}); correct it there, or download it again if it is cut off"
        ) from error


def read_file(path: Path, what: str, fix: str = CHECK_ROOT) -> bytes:
    """The content of a file; InputError names it when it cannot be read. fix: what to do where there is none."""
    try:
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise InputError(
                f"{path}: the {what} has {size / 1e9:.1f} GB, more than {_LARGEST_FILE / 1e9:.1f} GB, and parsed "
                "several times as many; split it, or leave out what is no keypoint"
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: the {what} does not exist; {fix}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot read the {what} ({error.strerror})") from error
