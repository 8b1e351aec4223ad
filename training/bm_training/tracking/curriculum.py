"""A motion set that grows while it is trained: stages, from a YAML file.

stages:
  - name: walking                      # the first stage is there from the beginning
    motions: ["walk*", "stream_*", "stand"]
    termination_scale: 1.5             # thresholds that end an episode, times this; default 1
  - name: dances
    motions: ["*dance*"]
    at_iteration: 500                  # comes at this iteration ...
  - name: everything
    motions: ["*"]
    at_completion: 0.9                 # ... or as soon as this share of 10 s episodes of the stages before completes

Patterns match clip names; a stage adds to those before it, or adds nothing and only changes the thresholds. Weights are
those of the motion set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from bm_core.errors import ConfigError
from bm_core.strict_yaml import read_yaml

_LAST_ITERATION = 1.0e9
_KEYS = ("name", "motions", "at_iteration", "at_completion", "termination_scale")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What comes in together."""

    name: str
    motions: tuple[str, ...]
    """Patterns of clip names; () to change only the thresholds."""
    at_iteration: int | None = None
    """PPO iteration from which on it may be practised,"""
    at_completion: float | None = None
    """or completion of the stages before; both None: the first stage. Given both, what happens first counts."""
    termination_scale: float = 1.0
    """Factor on the thresholds that end an episode, from this stage on."""

    def is_due(self, iteration: int, completion: float | None) -> bool:
        """Whether it begins now, the stage before it being the present one; completion None: not known yet."""
        by_time = self.at_iteration is not None and iteration >= self.at_iteration
        if completion is None or self.at_completion is None:
            return by_time
        return by_time or completion >= self.at_completion


class Curriculum:
    """Which motions of a run are practised in the present stage."""

    def __init__(self, stages: Sequence[Stage], names: Sequence[str], weights: Sequence[float]) -> None:
        """`names`, `weights` (M,) of the run's motions. ConfigError for stages that leave out, or match, nothing."""
        self.stages, self._weights = tuple(stages), list(weights)
        self._first_stage = [_stage_of(name, stages) for name in names]
        left_out = [name for name, stage in zip(names, self._first_stage, strict=True) if stage is None]
        if left_out:
            raise ConfigError(f"curriculum: no stage has {left_out[0]}; add it, or a last stage with '*'")
        for number, stage in enumerate(stages):
            if stage.motions and number not in self._first_stage:
                raise ConfigError(f"curriculum: stage {stage.name!r} adds no motion of this run; correct its patterns")
        self.stage = 0
        """Number of the present stage."""

    @property
    def current(self) -> Stage:
        """The present stage."""
        return self.stages[self.stage]

    @property
    def weights(self) -> list[float]:
        """(M,) weights of the motions in the present stage, 0 for those to come."""
        return [
            weight if first is not None and first <= self.stage else 0.0
            for weight, first in zip(self._weights, self._first_stage, strict=True)
        ]

    def advance(self, iteration: int, completion: float | None) -> bool:
        """Begin the next stage if it is due, one a call; whether it was. Completion None: not known yet."""
        is_last = self.stage + 1 >= len(self.stages)
        if is_last or not self.stages[self.stage + 1].is_due(iteration, completion):
            return False
        self.stage += 1
        return True


def read_curriculum(file: Path) -> tuple[Stage, ...]:
    """Stages of a YAML file. ConfigError names file, stage, key and what is allowed."""
    document = read_yaml(file)
    if not isinstance(document, dict) or set(document) != {"stages"} or not isinstance(document["stages"], list):
        raise ConfigError(f"{file}: must be one list, stages")
    stages = tuple(_stage(f"{file}: stages[{index}]", item) for index, item in enumerate(document["stages"]))
    if not stages:
        raise ConfigError(f"{file}: no stages")
    for number, stage in enumerate(stages):
        is_timed = stage.at_iteration is not None or stage.at_completion is not None
        if is_timed == (number == 0):
            raise ConfigError(
                f"{file}: stages[{number}]: the first stage has neither at_iteration nor at_completion, every other one"
            )
    return stages


def _stage(where: str, item: Any) -> Stage:
    if not isinstance(item, dict) or "name" not in item or not ("motions" in item or "termination_scale" in item):
        raise ConfigError(f"{where}: needs name, and motions or termination_scale")
    unknown = [key for key in item if key not in _KEYS]
    if unknown:
        raise ConfigError(f"{where}: unknown key {unknown[0]!r}; known: {', '.join(_KEYS)}")
    motions = item.get("motions", [])
    if (
        not isinstance(motions, list)
        or ("motions" in item and not motions)
        or not all(isinstance(pattern, str) for pattern in motions)
    ):
        raise ConfigError(f"{where}: motions = {motions!r}: a list of patterns expected")
    iteration = _number(where, item, "at_iteration", above=0.0, limit=_LAST_ITERATION)
    return Stage(
        name=str(item["name"]),
        motions=tuple(motions),
        at_iteration=None if iteration is None else int(iteration),
        at_completion=_number(where, item, "at_completion", above=0.0, limit=1.0),
        termination_scale=_number(where, item, "termination_scale", above=0.0, limit=10.0) or 1.0,
    )


def _number(where: str, item: dict[str, Any], key: str, *, above: float, limit: float) -> float | None:
    value = item.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not above < value <= limit:
        raise ConfigError(f"{where}: {key} = {value!r}: a number above {above:g}, at most {limit:g}, expected")
    return float(value)


def _stage_of(name: str, stages: Sequence[Stage]) -> int | None:
    """Number of the first stage that has a clip."""
    for number, stage in enumerate(stages):
        if any(fnmatchcase(name, pattern) for pattern in stage.motions):
            return number
    return None
