"""What a recalibration can be asked for, without the libraries that fit it."""

from typing import Literal, get_args

Method = Literal["scale", "joint_scale", "isotonic"]
METHODS: tuple[Method, ...] = get_args(Method)
