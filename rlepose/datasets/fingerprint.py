"""Whether persons are those that a run began with."""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from rlepose.datasets.persons import PersonTable

# What differs, in the words of messages, by column of the table; the other columns follow from these or from options.
_WORDS = {
    "image_files": "pictures",
    "image_size_wh": "pictures",
    "bbox_xywh": "boxes",
    "category_ids": "categories",
    "keypoints": "joints",
    "visible": "joints",
    "depth": "joints",
    "root_depth": "joints",
}


def fingerprint(table: PersonTable) -> dict[str, Any]:
    """Return the number of persons, and a digest of their labels by word for these; plain types.

    A change of the picture folder is none, since it may be mounted elsewhere; pictures are known by name and size.
    """
    digests: dict[str, Any] = {}
    for column in dataclasses.fields(table):
        if column.name in _WORDS:
            values = np.ascontiguousarray(getattr(table, column.name))
            digest = digests.setdefault(_WORDS[column.name], hashlib.sha256())
            digest.update(f"{column.name} {values.dtype} {values.shape}".encode())
            digest.update(values.tobytes())
    return {"persons": len(table)} | {word: digest.hexdigest()[:16] for word, digest in digests.items()}


def data_differences(
    before: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]], files: Mapping[str, str]
) -> str:
    """Return how fingerprints differ, as text; '' if they do not, or if an older version stored none.

    All by use: 'training' or 'validation'. files: names of their annotation files.
    """
    return "; ".join(
        f"{files[use]} had {_difference(before[use], now[use])}"
        for use in now
        if use in before and before[use] != now[use]
    )


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    if before["persons"] != now["persons"]:
        return f"{before['persons']} {'person' if before['persons'] == 1 else 'persons'} and now has {now['persons']}"
    return "other " + " and ".join(word for word in now if before.get(word) != now[word])
