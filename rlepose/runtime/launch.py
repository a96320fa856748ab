"""Which rank this process is: what torchrun, or who starts the ranks in its place, says in the environment."""

import os
import re
import sys
import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

import torch
import torch.distributed as dist

from rlepose.errors import InputError, MachineError, first_line

_TORCH_IS_LATE_BY = 15  # seconds that may pass between the timeout and torch's error
_ALONE = "start the ranks with torchrun --nproc-per-node=N, or unset it to run alone"


class Launch(NamedTuple):
    """This process among all, and among the processes of its machine; local_rank is None where nobody said."""

    rank: int = 0
    world_size: int = 1
    local_rank: int | None = None


def read_launch(environment: Mapping[str, str] = os.environ) -> Launch:
    """Which rank the environment makes of this process; InputError where it says only a part of that."""
    rank, world_size, local_rank = (_number(environment, name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    if rank is None and (world_size is None or world_size == 1):
        return Launch(local_rank=local_rank)
    if world_size is None:
        raise InputError(f"RANK: the environment has RANK={rank}, but no WORLD_SIZE; {_ALONE}")
    if rank is None:
        raise InputError(f"WORLD_SIZE: the environment has WORLD_SIZE={world_size}, but no RANK; {_ALONE}")
    if rank >= world_size:
        raise InputError(f"RANK: {rank}: {world_size} ranks (WORLD_SIZE) count from 0 to {world_size - 1}; correct it")
    if world_size > 1:
        missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if not environment.get(name)]
        if missing:
            raise InputError(
                f"WORLD_SIZE: the environment has WORLD_SIZE={world_size}, but no {' and no '.join(missing)}, where "
                f"the ranks meet; set it to rank 0's, or {_ALONE}"
            )
        port = _number(environment, "MASTER_PORT")
        if port is None or not 0 < port < 2**16:
            raise InputError(f"MASTER_PORT: {port} is no port; take a free one from 1024 to 65535")
    return Launch(rank, world_size, local_rank)


def join(launch: Launch, device: torch.device, timeout_s: float) -> None:
    """Make a process group with the other ranks; MachineError where that fails, or takes longer than `timeout_s`."""
    on_gpu = device.type == "cuda"
    late = threading.Timer(timeout_s + _TORCH_IS_LATE_BY, _give_up, (launch, timeout_s))
    late.daemon = True
    late.start()
    try:
        dist.init_process_group(
            "nccl" if on_gpu else "gloo",
            timeout=timedelta(seconds=timeout_s),
            device_id=device if on_gpu else None,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise MachineError(_why_apart(launch, str(error), first_line(error), timeout_s)) from error
    finally:
        late.cancel()


def _give_up(launch: Launch, timeout_s: float) -> None:
    """End the process: torch waits without a limit, and hears of no signal, where another program has the port."""
    print(f"[rank {launch.rank}] error: {_why_apart(launch, '', 'no answer', timeout_s)}", file=sys.stderr, flush=True)
    os._exit(1)


def _why_apart(launch: Launch, text: str, reason: str, timeout_s: float) -> str:
    address, port = os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"]
    if "EADDRINUSE" in text or "address already in use" in text:
        return (
            f"MASTER_PORT: port {port} is taken, perhaps by another run on this machine; choose another "
            "(torchrun --master-port=N), or let torchrun choose (--standalone)"
        )
    came = re.search(r"(\d+)/\d+ clients joined", text)
    there = f"only {came[1]} of {launch.world_size} ranks came to" if came else f"rank {launch.rank} met no others at"
    return (
        f"{there} MASTER_ADDR={address}, MASTER_PORT={port} within system.timeout_s={timeout_s:g} s ({reason}); look "
        f"whether all {launch.world_size} were started with these and reach that address, or raise system.timeout_s"
    )


def _number(environment: Mapping[str, str], name: str) -> int | None:
    """The whole number in a variable; None where it is not set."""
    text = environment.get(name)
    if text is None:
        return None
    if not text.strip().isdecimal():
        raise InputError(f"{name}: the environment has {name}='{text}', which is no whole number; {_ALONE}")
    return int(text)
