"""The seam between policy and writer: the policy puts, the writer looks at the newest at its own pace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bm_core.state import LowCommand
from bm_sim2real.modes import Mode


@dataclass(frozen=True, kw_only=True)
class PolicyCommand:
    """What the policy process hands over each control step."""

    low: LowCommand
    mode: Mode
    """The mode that `low` belongs to; in DAMPING its targets are ignored."""


class Mailbox(Protocol):
    """One writer, one reader; a put replaces what was not yet taken."""

    def put(self, command: PolicyCommand) -> None:
        """Make this the newest."""
        ...

    def newest(self) -> PolicyCommand | None:
        """The same object until the next put; None before the first."""
        ...


class LocalMailbox:
    """For policy and writer in one process (lockstep, `bm eval`)."""

    def __init__(self) -> None:
        self._newest: PolicyCommand | None = None

    def put(self, command: PolicyCommand) -> None:
        self._newest = command

    def newest(self) -> PolicyCommand | None:
        return self._newest
