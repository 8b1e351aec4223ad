"""`bm eval compare`: evaluations of one policy in several simulators, or of several policies, side by side."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from bm_core.errors import ConfigError

_ERRORS = {
    "body_error_m": ("body mm", 1e3, ".1f"),
    "mpkpe_global_m": ("MPKPE mm", 1e3, ".0f"),
    "mpkpe_root_m": ("root-rel. mm", 1e3, ".1f"),
    "joint_error_rad": ("joint rad", 1.0, ".3f"),
    "joint_velocity_error_rad_s": ("joint rad/s", 1.0, ".2f"),
    "body_velocity_error_m_s": ("body m/s", 1.0, ".2f"),
}
_TAKEN = ("clip", "clips", "seconds")
"""Keys of the document beside the labels."""


@dataclass(frozen=True, kw_only=True)
class EvalCompare:
    """One table of several evaluations, clip by clip and in total. Exit 0 compared, 2 other clips or no evaluations.

    Files are --json documents of bm eval tracking and bm eval isaaclab: MuJoCo, Newton and PhysX of one policy, or
    several policies. Only clips that all of them played are compared. In a document each clip is played by one policy,
    so none of --experts compare.
    """

    evaluations: tyro.conf.Positional[tuple[str, ...]]
    """LABEL=FILE, such as mujoco=m.json newton=n.json; without a label the file's name is it."""
    json: Path | None = None
    """Also write rows and summary as one JSON document."""

    def __call__(self) -> int:
        from bm_sim2real.result_json import write_result

        columns: dict[str, dict[str, dict[str, Any]]] = {}
        for text in self.evaluations:
            label, path = _labelled(text)
            if label in columns:
                raise ConfigError(f"eval compare {text}: label {label!r} is given twice; write another LABEL=FILE")
            columns[label] = _column(path)
        if len(columns) < 2:
            raise ConfigError("eval compare: at least two evaluations with different labels")
        rows = side_by_side(columns)
        summary = totals(rows, list(columns))
        if self.json is not None:
            write_result(self.json, command="eval compare", rows=rows, summary=summary, passed=True)
        _print(rows, summary, list(columns))
        return 0


def side_by_side(columns: dict[str, dict[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """A row a clip that every column has, each with the column's success rate and errors under its label."""
    first = next(iter(columns.values()))
    shared = [clip for clip in first if all(clip in column for column in columns.values())]
    if not shared:
        raise ConfigError("eval compare: the evaluations have no clip in common")
    return [
        {"clip": clip, "seconds": first[clip]["seconds"], **{label: column[clip] for label, column in columns.items()}}
        for clip in shared
    ]


def totals(rows: Sequence[dict[str, Any]], labels: Sequence[str]) -> dict[str, Any]:
    """By label: share of clips and of episodes completed, errors over all frames, difference to the first label."""
    summary: dict[str, Any] = {"clips": len(rows)}
    for label in labels:
        cells = [row[label] for row in rows]
        values = {
            "completed": sum(cell["success_rate"] == 1.0 for cell in cells),
            "completion_rate": sum(cell["success_rate"] for cell in cells) / len(cells),
        }
        for name in _ERRORS:
            known = [cell for cell in cells if not math.isnan(cell[name])]
            frames = sum(cell["frames"] for cell in known)
            values[name] = sum(cell[name] * cell["frames"] for cell in known) / frames if frames else math.nan
        values["points"] = 100.0 * (values["completion_rate"] - summary.get(labels[0], values)["completion_rate"])
        summary[label] = values
    return summary


def _labelled(text: str) -> tuple[str, Path]:
    """Label and file; ConfigError for a label that is empty or means something else in the document."""
    first, separator, file = text.partition("=")
    path = Path(file if separator else text)
    label = first.strip() if separator else path.stem
    if not label or not path.name:
        raise ConfigError(f"eval compare {text!r}: write LABEL=FILE, such as mujoco=m.json")
    if label in _TAKEN:
        raise ConfigError(f"eval compare {text}: label {label!r} is a key of the result; write another LABEL=FILE")
    return label, path


def _column(path: Path) -> dict[str, dict[str, Any]]:
    """Cell by clip. ConfigError for another document, or one in which several policies play the same clip."""
    try:
        document = json.loads(path.read_text())
        clips = [row for row in document["rows"] if row.get("kind", "clip") == "clip"]
        by_clip: dict[str, list[dict[str, Any]]] = {}
        for row in clips:
            by_clip.setdefault(row["clip"], []).append(row)
        _refuse_several_policies(path, document, by_clip)
        return {clip: _cell(group) for clip, group in by_clip.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: no --json document of bm eval tracking or isaaclab ({error})") from error


def _refuse_several_policies(path: Path, document: dict[str, Any], by_clip: dict[str, list[dict[str, Any]]]) -> None:
    # The rows have only names of files; two bundles of one name are told by the duel in the summary.
    summary = document.get("summary") or {}
    fought = list(summary.get("duel") or {})
    fought += [clip for clip, group in by_clip.items() if len({row.get("policy") for row in group}) > 1]
    if fought:
        raise ConfigError(
            f"{path}: several policies play {fought[0]} (--experts compare); make a document with --experts use and "
            "one with --experts ignore, and compare these"
        )


def _cell(group: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Episodes of one clip: one row each from MuJoCo, one row in all from Isaac Lab."""
    frames = sum(row["frames"] for row in group)
    share = sum(row.get("success_rate", float(row["completed"])) for row in group) / len(group)
    cell = {"seconds": group[0]["seconds"], "success_rate": share, "frames": frames}
    for name in _ERRORS:
        known = [row for row in group if row.get(name) is not None and row["frames"]]
        total = sum(row["frames"] for row in known)
        cell[name] = sum(row[name] * row["frames"] for row in known) / total if total else math.nan
    return cell


def _print(rows: Sequence[dict[str, Any]], summary: dict[str, Any], labels: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("clip", box=None, header_style="bold", pad_edge=False)
    for heading in ("completed", *(heading for heading, _, _ in _ERRORS.values())):
        table.add_column(f"{heading}\n{' | '.join(labels)}", justify="right")
    for row in rows:
        cells = [row[label] for label in labels]
        table.add_row(row["clip"], " | ".join(f"{cell['success_rate']:.0%}" for cell in cells), *_errors(cells))
    cells = [summary[label] for label in labels]
    share = " | ".join(f"{cell['completion_rate']:.1%}" for cell in cells)
    table.add_row("all", share, *_errors(cells), style="bold")
    console = Console()
    (console if console.is_terminal else Console(width=250)).print(table)
    for label in labels[1:]:
        points = summary[label]["points"]
        console.print(f"{label}: {points:+.1f} points of completion against {labels[0]}", highlight=False)


def _errors(cells: Sequence[dict[str, Any]]) -> list[str]:
    return [
        " | ".join("-" if math.isnan(cell[name]) else format(factor * cell[name], form) for cell in cells)
        for name, (_, factor, form) in _ERRORS.items()
    ]
