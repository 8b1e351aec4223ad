"""torchrun: which rank this is, its device, and decisions that all ranks must take alike."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from bm_training.devices import usable_device


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """This process among those that torchrun started; alone without it."""

    rank: int
    local_rank: int
    world_size: int
    device: str

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def multi_gpu(self) -> dict[str, int] | None:
        """As rsl-rl's algorithms want it; None for a single process."""
        if self.world_size == 1:
            return None
        return {"global_rank": self.rank, "local_rank": self.local_rank, "world_size": self.world_size}

    def any(self, flag: bool) -> bool:
        """True on every rank if it is on one."""
        if self.world_size == 1:
            return flag
        shared = torch.tensor(float(flag), device=self.device)
        torch.distributed.all_reduce(shared, op=torch.distributed.ReduceOp.MAX)
        return bool(shared.item() > 0.0)

    def close(self) -> None:
        """Leave the group."""
        if self.world_size > 1:
            torch.distributed.destroy_process_group()


def join(device: str | None) -> Ranks:
    """Read torchrun's variables and join its group. `device` None: an own GPU where there is one, else the CPU.

    Raises ConfigError for a device that torch cannot use.
    """
    world_size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    if device is None or (device.startswith("cuda") and world_size > 1):
        device = f"cuda:{local_rank}" if torch.cuda.is_available() else "cpu"
    usable_device(device)
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    if world_size > 1:
        backend = "nccl" if device.startswith("cuda") else "gloo"
        torch.distributed.init_process_group(backend=backend, rank=rank, world_size=world_size)
    return Ranks(rank=rank, local_rank=local_rank, world_size=world_size, device=device)
