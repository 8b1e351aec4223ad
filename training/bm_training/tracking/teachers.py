"""Trained policies as teachers of others: which one knows which motion, and what it would do now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bm_core.errors import ConfigError
from bm_core.observation_terms import observation_term
from bm_training.tracking.policy_source import PolicySource, read_policy

if TYPE_CHECKING:
    from bm_core.observation_terms import ObservationTerm

_FOREIGN = ("base_lin_vel_com", "base_lin_vel_imu", "projected_gravity")


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A policy and the motions that it teaches."""

    policy: PolicySource
    patterns: tuple[str, ...]
    """Of clip names."""

    @property
    def terms(self) -> tuple[ObservationTerm, ...]:
        """What it sees."""
        return self.policy.contract.observations


def parse_teacher(text: str) -> tuple[Path, tuple[str, ...]]:
    """RUN=PATTERN,PATTERN; RUN alone teaches every motion. ConfigError for anything else."""
    run, _, patterns = text.partition("=")
    chosen = tuple(pattern for pattern in patterns.split(",") if pattern)
    if not run or ("=" in text and not chosen):
        raise ConfigError(f"--teacher {text}: write RUN=PATTERN,PATTERN with patterns of clip names, or RUN alone")
    return Path(run), chosen or ("*",)


def load_teacher(text: str, device: str) -> Teacher:
    """ConfigError or BundleError for what is no policy, or one whose observation is not of our task."""
    run, patterns = parse_teacher(text)
    policy = read_policy(run, device)
    for term in policy.contract.observations:
        is_known = term.name not in _FOREIGN and term == observation_term(term.name, steps=term.steps)
        if not is_known:
            raise ConfigError(f"--teacher {run}: its observation term {term.name} is not that of our task")
    return Teacher(policy=policy, patterns=patterns)


def assignment(names: Sequence[str], teachers: Sequence[Teacher]) -> list[int]:
    """For each motion the number of the first teacher whose patterns have it. ConfigError for orphans and idlers."""
    chosen = []
    for name in names:
        fitting = [n for n, t in enumerate(teachers) if any(fnmatchcase(name, pattern) for pattern in t.patterns)]
        if not fitting:
            raise ConfigError(f"--teacher: nobody teaches {name}; name it, or give a last teacher without patterns")
        chosen.append(fitting[0])
    idle = set(range(len(teachers))) - set(chosen)
    if idle:
        raise ConfigError(f"--teacher {teachers[min(idle)].policy.name}: teaches no motion of this run")
    return chosen


class TeacherPanel:
    """All teachers of a run on its observations."""

    def __init__(self, teachers: Sequence[Teacher], names: Sequence[str], device: str) -> None:
        self._acts = [teacher.policy.act for teacher in teachers]
        self.names = [teacher.policy.name for teacher in teachers]
        self.of_motion = torch.tensor(assignment(names, teachers), device=device)
        """(M,) teacher of each motion."""

    @torch.no_grad()
    def label(self, observations: dict[str, Tensor], motion_id: Tensor) -> Tensor:
        """(E, 29) mean actions of each robot's own teacher; groups teacher_0, teacher_1, ... of the environment."""
        actions = torch.stack([act(observations[f"teacher_{number}"]) for number, act in enumerate(self._acts)])
        return actions[self.of_motion[motion_id], torch.arange(len(motion_id), device=motion_id.device)]
