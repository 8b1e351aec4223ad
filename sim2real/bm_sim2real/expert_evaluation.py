"""Experts against the policy that plays everything: every episode by whoever is asked for it, results side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from bm_sim2real.evaluation import ClipResult, EvaluationConfig
from bm_sim2real.evaluation_batch import Episode, run_episodes, summarize, with_base_state


class Experts(str, Enum):
    """Who plays a motion that names a policy bundle."""

    USE = "use"
    """The bundle it names."""
    COMPARE = "compare"
    """Both: the bundle it names, and the policy that plays everything."""
    IGNORE = "ignore"
    """The policy that plays everything."""


@dataclass(frozen=True, kw_only=True)
class Played:
    """One episode by one policy."""

    policy: str
    """Path of its bundle."""
    result: ClipResult


def run_with_experts(
    policy: str | Path,
    episodes: Sequence[Episode],
    config: EvaluationConfig,
    experts: Experts,
    *,
    provider: str = "cpu",
    jobs: int = 1,
    on_result: Callable[[ClipResult], None] | None = None,
) -> list[Played]:
    """Every episode by its player or players, in the order of the episodes, the general policy first.

    Each policy gets the state estimate that it needs. Raises BmError if a policy cannot be trusted.
    """
    players = assignments(policy, episodes, experts)
    results: dict[tuple[int, str], ClipResult] = {}
    for path in dict.fromkeys(path for paths in players for path in paths):
        own = [i for i, paths in enumerate(players) if path in paths]
        played = run_episodes(
            path,
            [episodes[i] for i in own],
            with_base_state(config, path),
            provider=provider,
            jobs=jobs,
            on_result=on_result,
        )
        results |= {(i, path): result for i, result in zip(own, played, strict=True)}
    return [Played(policy=path, result=results[i, path]) for i, paths in enumerate(players) for path in paths]


def assignments(policy: str | Path, episodes: Sequence[Episode], experts: Experts) -> list[list[str]]:
    """Bundles that play each of the episodes."""
    general = str(policy)
    players = []
    for episode in episodes:
        expert = episode.policy if Path(episode.policy).resolve() != Path(general).resolve() else ""
        if not expert or experts is Experts.IGNORE:
            players.append([general])
        else:
            players.append([expert] if experts is Experts.USE else [general, expert])
    return players


def by_policy(played: Sequence[Played]) -> dict[str, dict[str, Any]]:
    """The summary of `bm eval tracking` for each policy, by the name of its file."""
    paths = list(dict.fromkeys(one.policy for one in played))
    return {path: summarize([one.result for one in played if one.policy == path]) for path in paths}


def duel(played: Sequence[Played], general: str | Path) -> dict[str, dict[str, Any]]:
    """Clips that both kinds played: how each did. `better` is whoever completes more, then errs less."""
    clips: dict[str, dict[str, list[ClipResult]]] = {}
    for one in played:
        side = "general" if one.policy == str(general) else "expert"
        clips.setdefault(one.result.clip, {}).setdefault(side, []).append(one.result)
    table = {}
    for clip, sides in clips.items():
        if len(sides) < 2:
            continue
        sums = {side: summarize(results) for side, results in sides.items()}
        score = {side: (s["completion_rate"], -s["body_error_m"]) for side, s in sums.items()}
        facts = {side: {key: s[key] for key in ("completion_rate", "body_error_m")} for side, s in sums.items()}
        table[clip] = {**facts, "better": max(score, key=lambda side: score[side])}
    return table
