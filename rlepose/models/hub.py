"""Downloads of pretrained weights: one look whether the hub answers, instead of its library's minute of retries."""

import contextlib
import logging
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator

_PATIENCE = 10  # seconds that the hub may take for its first answer
_TALKING = ("huggingface_hub.utils._http", "timm.models._builder")


def why_unreachable() -> str | None:
    """Return why files cannot be downloaded from the Hugging Face hub; None if they can."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        with urllib.request.urlopen(urllib.request.Request(constants.ENDPOINT, method="HEAD"), timeout=_PATIENCE):
            return None
    except urllib.error.HTTPError:  # an answer, too
        return None
    except urllib.error.URLError as error:
        # The hub's library has certificates of its own.
        return None if isinstance(error.reason, ssl.SSLError) else f"{constants.ENDPOINT}: {error.reason}"
    except OSError as error:
        return f"{constants.ENDPOINT}: {error}"


@contextlib.contextmanager
def hub(unreachable: bool) -> Iterator[None]:
    """Within it, timm and the hub's library log no retries, and nothing of layers that only classification needs.

    unreachable: use only files that were downloaded before.
    """
    from huggingface_hub import constants

    loggers = [logging.getLogger(name) for name in _TALKING]
    offline = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = offline or unreachable
    for logger in loggers:
        logger.addFilter(_means_something)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = offline
        for logger in loggers:
            logger.removeFilter(_means_something)


def _means_something(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    return not (text.startswith(("Unexpected keys", "Retrying in")) or "thrown while requesting" in text)
