"""Groups of pictures that belong together, such as of one person or film, and splits that keep groups whole."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.formats.coco_file import Pictures
from rlepose.datasets.shares import REST
from rlepose.errors import InputError


def picture_groups(pictures: Pictures, key: str) -> NDArray[np.str_]:
    """Return (M,) the group of each picture, in the file's order: the whole number or text under `key` in its entry.

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
    """Return (M,) the block of each picture: `blocks` blocks of equal length, or one per picture if there are fewer."""
    return np.arange(num_pictures) * min(blocks, num_pictures) // max(num_pictures, 1)


def split_groups(
    groups: NDArray[Any], persons: NDArray[np.integer], shares: Mapping[str, float], seed: int
) -> NDArray[np.str_]:
    """Return (M,) the name of the part that gets each picture: a key of `shares`, or REST.

    Groups are shuffled according to `seed`. Each part, smallest share first, gets the groups whose number of persons is
    as close to its share as whole groups allow.

    Args:
        groups: (M,) the group of each picture. Groups stay whole.
        persons: (M,) number of persons in each picture.
        shares: for each part, its share of all persons, 0 to 1.
        seed: seed of the shuffle.

    Raises InputError if no group at all is the closest choice for a part, and if nobody remains for REST.
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
                f"--shares: {name}={share:g} is {share * total:.1f} of {total} persons, and the smallest remaining "
                f"group (of {len(free)}) is too large for it; raise the share, or drop this part"
            )
        part[free[chosen]] = name
        free = np.delete(free, chosen)
    if not sizes[free].sum():
        raise InputError(
            f"--shares: {' '.join(f'{name}={share:g}' for name, share in shares.items())}: none of {len(names)} groups "
            f"with {total} persons remains for training; lower the shares"
        )
    return part[group].astype(np.str_)


def _nearest_sum(sizes: NDArray[np.integer], target: float) -> NDArray[np.intp]:
    """Return indices of sizes whose sum is closest to `target`, among the first sizes if these suffice."""
    limit = int(2 * target) + 1  # 0 is closer than any larger sum
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
