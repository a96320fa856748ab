"""Which pictures of a file belong together, such as one person's or one film's, and parts that keep them together."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.formats.coco_file import Pictures
from rlepose.datasets.shares import REST
from rlepose.errors import InputError


def picture_groups(pictures: Pictures, key: str) -> NDArray[np.str_]:
    """(M,) name of each picture's group, in the file's order: what its entry has under `key`, a whole number or text.

    The number 7 and the text 7 are the same group. Raises InputError for a picture without the key.
    """
    for image in pictures.images:
        if not isinstance(image.get(key), int | str):
            got = f"is {image[key]!r}" if key in image else "is missing"
            raise InputError(
                f"{pictures.path}: image {image['id']}: its group '{key}' {got}; give every image a whole number or "
                "text, or name another key"
            )
    return np.array([str(image[key]) for image in pictures.images], np.str_)


def contiguous_blocks(num_pictures: int, blocks: int) -> NDArray[np.int64]:
    """(M,) number of each picture's block, of `blocks` as long as one another; of fewer pictures each is one."""
    return np.arange(num_pictures) * min(blocks, num_pictures) // max(num_pictures, 1)


def split_groups(
    groups: NDArray[Any], persons: NDArray[np.integer], shares: Mapping[str, float], seed: int
) -> NDArray[np.str_]:
    """(M,) name of the part that each picture goes to: one of `shares`, or REST.

    groups (M,) the pictures' groups, which stay whole; persons (M,) how many each picture has; shares: the share of all
    persons that a part should have, 0 to 1. A part gets groups in a random order that `seed` decides, of which it takes
    those whose persons come as near to the share as whole groups can; the smallest share chooses first.
    Raises InputError where the nearest is no group at all, or nobody remains.
    """
    names, group = np.unique(groups, return_inverse=True)
    sizes = np.bincount(group, weights=persons, minlength=len(names)).astype(int)
    total = int(sizes.sum())
    free = np.random.default_rng(seed).permutation(len(names))
    part = np.full(len(names), REST, dtype=object)
    for name, share in sorted(shares.items(), key=lambda item: item[1]):
        chosen = _nearest_sum(sizes[free], share * total)
        if not len(chosen):
            raise InputError(
                f"--shares: {name}={share:g} is {share * total:.1f} of {total} persons, and none of {len(free)} groups "
                "left comes nearer to that than no group at all; raise the share, or leave this part out"
            )
        part[free[chosen]] = name
        free = np.delete(free, chosen)
    if not sizes[free].sum():
        raise InputError(
            f"--shares: {' '.join(f'{name}={share:g}' for name, share in shares.items())}: no one of {len(names)} "
            f"groups with {total} persons remains to train on; lower the shares"
        )
    return part[group].astype(np.str_)


def _nearest_sum(sizes: NDArray[np.integer], target: float) -> NDArray[np.intp]:
    """Indices of the sizes whose sum is nearest to `target`, among the first sizes where these suffice."""
    limit = int(2 * target) + 1  # 0 is nearer than anything above
    reached, last = np.zeros(limit + 1, bool), np.zeros(limit + 1, int)
    reached[0] = True
    for index, size in enumerate(sizes.tolist()):
        if reached[round(target)]:
            break
        if 0 < size <= limit:
            new = np.flatnonzero(reached[: limit + 1 - size] & ~reached[size:]) + size
            reached[new], last[new] = True, index
    sums = np.flatnonzero(reached)
    total = int(sums[np.argmin(np.abs(sums - target))])
    chosen = []
    while total:
        chosen.append(int(last[total]))
        total -= int(sizes[last[total]])
    return np.array(chosen, np.intp)
