"""Fetching large files: a cut connection costs what was under way, and a wrong file is not taken for the right one."""

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

_ATTEMPTS = 5  # in a row without a byte
_TIMEOUT_S = 60
_BLOCK = 1 << 20


def fetch(url: str, path: Path, md5: str) -> None:
    """Fetch a file by HTTP, going on after its beginning in `path`.part, which an earlier call may have left.

    md5: hex digest. InputError when the server does not give the file, or gives another.
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
                raise InputError(f"{url}: the server says {error.code} {error.reason}; has it moved?") from error
            failures = 0 if _size(part) > before else failures + 1
            if failures == _ATTEMPTS:
                raise InputError(f"{url}: cannot be fetched ({error}); the same command goes on from here") from error
            log.warning("%s: %s; going on at byte %d", url, error, _size(part))
            time.sleep(failures)
    if _md5(part) != md5:
        part.unlink()
        raise InputError(f"{url}: what came has not the checksum {md5} and was deleted; fetch it again")
    part.replace(path)


def _fetch_rest(url: str, part: Path) -> None:
    have = _size(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        if _total(error.headers.get("Content-Range", "")) != have:  # not the beginning of this file
            part.unlink()
            _fetch_rest(url, part)
        return
    with response:
        if response.status != 206:  # a server that knows no ranges starts again
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
    """'bytes */1234' -> 1234."""
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
