"""Download large files: interrupted downloads continue, and checksums detect wrong files."""

import hashlib
import http.client
import logging
import re
import time
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from rlepose.errors import InputError

log = logging.getLogger(__name__)

_ATTEMPTS = 5  # in a row without receiving a byte
_TIMEOUT_S = 60
_BLOCK = 1 << 20


def fetch(url: str, path: Path, md5: str) -> None:
    """Download a file by HTTP; continue after the content of `path`.part from an earlier call.

    md5: hex digest. InputError if the server does not provide the file, or provides another one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    failures = 0
    while True:
        before = _size(part)
        try:
            _fetch_rest(url, part)
            break
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError) and error.code < 500:
                raise InputError(
                    f"{url}: the server returned {error.code} {error.reason}; the file may have moved"
                ) from error
            failures = 0 if _size(part) > before else failures + 1
            if failures == _ATTEMPTS:
                raise InputError(f"{url}: download failed ({error}); run the same command again to continue") from error
            log.warning("%s: %s; continuing at byte %d", url, error, _size(part))
            time.sleep(failures)
    if _md5(part) != md5:
        part.unlink()
        raise InputError(
            f"{url}: the downloaded file does not have the checksum {md5} and was deleted; run the command again"
        )
    part.replace(path)


def _fetch_rest(url: str, part: Path) -> None:
    have = _size(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        if _total(error.headers.get("Content-Range", "")) != have:  # the part is not from this file
            part.unlink()
            _fetch_rest(url, part)
        return
    with response:
        if response.status != 206:  # a server without range support starts from the beginning
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        bar = tqdm(desc=part.stem, initial=have, total=total, unit="B", unit_scale=True)
        with part.open("ab" if have else "wb") as file, bar:
            while block := response.read(_BLOCK):
                file.write(block)
                bar.update(len(block))
    if total is not None and _size(part) != total:
        raise ConnectionError(f"the connection ended at byte {_size(part)} of {total}")


def _total(content_range: str) -> int | None:
    """Parse 'bytes */1234' to 1234."""
    found = re.search(r"/(\d+)$", content_range)
    return int(found[1]) if found else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
