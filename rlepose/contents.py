"""What a file is that is not what was expected: known by its first bytes, with what to do about it."""

import re
from pathlib import Path

HEAD_BYTES = 512

_TIFF = "a TIFF that is cut off, or of an unusual type such as float; copy it again, or convert it to 8 or 16 bits"

# (bytes at the file's beginning, what such a file is and what to do)
_SIGNATURES = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself; run git lfs pull"),
    (b"\x1f\x8b", "compressed by gzip; unpack it (gunzip, or gzip -d)"),
    (b"BZh", "compressed by bzip2; unpack it (bunzip2)"),
    (b"\xfd7zXZ", "compressed by xz; unpack it (unxz)"),
    (b"7z\xbc\xaf", "a 7-Zip archive; unpack it"),
    (b"Rar!", "a RAR archive; unpack it"),
    (b"%PDF", "a PDF; export its pictures"),
    (b"\x89HDF", "an HDF5 file; convert it"),
    (b"II*\0", _TIFF),
    (b"MM\0*", _TIFF),
)
# Checkpoints are ZIP archives, and pictures are read too, so these are foreign among text alone.
_NO_TEXT = (
    (b"PK\x03\x04", "a ZIP archive; unpack it"),
    (b"\x89PNG", "a PNG picture; give the file of its labels"),
    (b"\xff\xd8\xff", "a JPEG picture; give the file of its labels"),
)
_WEB_PAGE = re.compile(rb"\s*(<!doctype html|<html|<head|<body)", re.IGNORECASE)
_XML = re.compile(rb"\s*<(\?xml|[A-Za-z])")
_YAML = re.compile(rb"\s*(%YAML|---|#|- |[\w.-]+:(\s|$))")
_HEIC = (b"heic", b"heix", b"hevc", b"mif1", b"msf1")
_TRANSPORT_STREAM = 188  # bytes a packet, each of which begins with G


def foreign_content(head: bytes) -> str | None:
    """What a file that begins with these bytes is, and what to do with it; None for what is not known.

    head: at least the first HEAD_BYTES, or all of a shorter file.

    >>> foreign_content(b"")
    'empty; copy or download it again'
    >>> foreign_content(b"<!DOCTYPE html><title>Sign in</title>")
    'a web page; download the file itself, not the page that shows it'
    """
    if not head:
        return "empty; copy or download it again"
    for signature, description in _SIGNATURES:
        if head.startswith(signature):
            return description
    if head[4:8] == b"ftyp":
        if head[8:12] in _HEIC:
            return "a HEIC picture; convert it to JPEG or PNG"
        return "a video" if head[8:12] not in (b"avif", b"avis") else "an AVIF picture; convert it to JPEG or PNG"
    if head[:1] == b"G" and head[_TRANSPORT_STREAM : _TRANSPORT_STREAM + 1] == b"G":
        return "a video (an MPEG transport stream)"
    if _WEB_PAGE.match(head):
        return "a web page; download the file itself, not the page that shows it"
    if _XML.match(head):
        return "XML; export it anew in the format that is expected"
    return None


def foreign_text(head: bytes) -> str | None:
    """As `foreign_content`, for a file in which JSON is expected."""
    for signature, description in _NO_TEXT:
        if head.startswith(signature):
            return description
    return foreign_content(head) or ("YAML, not JSON; write it as JSON" if _YAML.match(head) else None)


def head_of(path: str | Path) -> bytes:
    """The first HEAD_BYTES of a file, as many as it has; none where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return file.read(HEAD_BYTES)
    except (OSError, ValueError):
        return b""
