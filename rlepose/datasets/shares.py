"""Shares of the parts of a data set, as given on the command line."""

import re
from collections.abc import Sequence

from rlepose.errors import InputError

REST = "fit"  # the part with everything that is in no other part
BLOCKS = 20  # number of contiguous blocks of pictures that are kept together if no key names groups


def parse_shares(words: Sequence[str]) -> dict[str, float]:
    """Parse ['tune=0.1', …] to {'tune': 0.1, …}, the share of the persons in each part.

    Raises InputError for an invalid share, for a part given twice, and if nothing remains for REST.
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
        raise InputError(f"--shares: {' '.join(words)} leave nothing to train on; lower them to a sum below 1")
    return shares
