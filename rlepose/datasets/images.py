"""Where pixels come from: pictures on disk, and crops of them."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rlepose.errors import InputError

_JPEG_START, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """A picture as RGB uint8 (H, W, 3), as stored: EXIF rotation is ignored, since COCO's coordinates ignore it.

    Raises InputError naming the file when it is missing, cannot be decoded, or is cut off.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot read the picture ({error.strerror})") from error
    if is_truncated_jpeg(data):
        raise InputError(f"{path}: the JPEG is cut off; fetch the file again")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:  # an empty file, or more pixels than OpenCV's limit
        image = None
    if image is None:
        raise InputError(f"{path}: cannot be decoded as a picture; fetch the file again")
    return image


def is_truncated_jpeg(data: bytes) -> bool:
    """Whether a JPEG ends before its end marker. OpenCV would return it half grey, without an error."""
    return data.startswith(_JPEG_START) and data.rfind(_JPEG_END) < data.rfind(_JPEG_SCAN)


def warp_crop(
    image: NDArray[np.uint8], matrix: NDArray[np.floating], crop_size_hw: tuple[int, int]
) -> NDArray[np.uint8]:
    """Cut (h, w, 3) out of a picture by a matrix (2, 3) from picture to crop; black outside the picture."""
    height, width = crop_size_hw
    return cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR)
