"""Into which parts a data set is split, as a user writes them."""

import re
from collections.abc import Sequence

from rlepose.errors import InputError

REST = "fit"  # the part that no share asks for
BLOCKS = 20  # contiguous blocks of a file's order, which stay together where no key names groups


def parse_shares(words: Sequence[str]) -> dict[str, float]:
    """['tune=0.1', …] -> {'tune': 0.1, …}, the share of the persons that each part gets.

    Raises InputError for what is no share, for a part that stands twice, and where nothing is left for REST.
    """
    shares: dict[str, float] = {}
    for word in words:
        name, _, value = word.partition("=")
        try:
            share = float(value)
        except ValueError:
            share = 0.0
        if not re.fullmatch(r"\w+", name) or name in (REST, *shares) or not 0 < share < 1:
            raise InputError(
                f"--shares: expected PART=SHARE with a share above 0 and below 1, each part once and none named "
                f"{REST}, got {word}"
            )
        shares[name] = share
    if sum(shares.values()) >= 1:
        raise InputError(f"--shares: {' '.join(words)} leave nothing to train on; lower them to below 1 together")
    return shares
