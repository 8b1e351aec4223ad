"""What a fuzzing run found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_KEPT = 10


@dataclass(kw_only=True)
class FuzzReport:
    """One target. `seed` and `index` of a finding repeat it."""

    target: str
    seed: int
    tried: int = 0
    accepted: int = 0
    """Inputs that were taken for good, or at least not refused."""
    refused: int = 0
    """Inputs that were answered by a fault or by one of our errors."""
    findings: int = 0
    """Crashes and commands beyond the limits."""
    first: list[str] = field(default_factory=list)
    """The first few findings in words."""
    answers: dict[str, int] = field(default_factory=dict)
    """How often which fault or error answered."""

    def answer(self, name: str) -> None:
        """One input was refused."""
        self.refused += 1
        self.answers[name] = self.answers.get(name, 0) + 1

    def find(self, index: int, what: str, count: int = 1) -> None:
        """Something is wrong."""
        self.findings += count
        if len(self.first) < _KEPT:
            self.first.append(f"{self.target}, seed {self.seed}, input {index}: {what}")

    def row(self) -> dict[str, Any]:
        """For the JSON document."""
        return {**vars(self), "passed": self.findings == 0}
