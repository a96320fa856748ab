"""Paths as users write them: `~` and environment variables mean what a shell means by them."""

import os
import re
from pathlib import Path

from rlepose.errors import InputError

_VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([^}]*)\})", re.ASCII)


def expanded(path: str | Path, below: str | Path = "", source: str = "") -> str:
    """Return a path with `~`, `~user`, `$NAME` and `${NAME}` replaced, as in a shell.

    As in a shell, `~` counts only at the beginning. A `$` in the name of a file or folder that exists is part of this
    name. below: folder that a relative path is relative to; default: the working directory. source: the origin of the
    path, for messages. InputError for a variable that is not set, or is empty.

    >>> os.environ["DISK"] = "/mnt/disk"
    >>> expanded("$DISK/coco"), expanded("${DISK}_2/coco"), expanded("exp/run~1/last.pt")
    ('/mnt/disk/coco', '/mnt/disk_2/coco', 'exp/run~1/last.pt')
    """
    text = os.path.expanduser(path)  # noqa: PTH111 - Path.expanduser raises for an unknown user, whose ~ is a name
    end = len(text)  # of the part that exists as it is written, or has no variable
    while "$" in text[:end] and not os.path.lexists(os.path.join(below, text[:end])):  # noqa: PTH118 - of texts
        end = max(text.rfind("/", 0, end), 0)
    return text[:end] + _VARIABLE.sub(
        lambda found: _value(found[1] or found[2], f"{source}: {path}" if source else f"{path}"), text[end:]
    )


def _value(name: str, where: str) -> str:
    value = os.environ.get(name)
    if not value:
        problem = "is not set" if value is None else "is empty"
        raise InputError(f"{where}: the environment variable {name} {problem}; set it, or write the path without it")
    return value
