"""Adaptive against uniform sampling: evaluations of several runs in one table. `bm train compare LABEL=FILE,.. ..`

The runs see equal samples and are judged alike: whole clips, and uniform starts in every bin (bm eval isaaclab).
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from bm_core.errors import ConfigError
from bm_training.comma_list import named_parts
from bm_training.run_control import run_as_module

_NEEDED = ("policy_steps", "completion_rate", "uniform_completion_rate", "bin_failure_rate", "body_error_m")
"""Numbers that a summary must have."""
_SHOWN = {
    "completion_rate": "completion",
    "uniform_completion_rate": "completion, uniform starts",
    "bin_failure_rate": "failures per bin",
    "own_worst_tenth": "own worst tenth",
    "common_worst_tenth": "common worst tenth",
    "body_error_m": "body error m",
}


@dataclass(frozen=True, kw_only=True)
class CompareRuns:
    """Table of evaluations by label, mean and spread over seeds. Exit 0.

    Worst tenth of the bins: of each run itself, and the bins that fail most on average over all runs given.
    """

    groups: tyro.conf.Positional[tuple[str, ...]]
    """LABEL=FILE,FILE: JSON documents of `bm eval isaaclab`, a file a seed; all on the same clips and bins."""
    json: Path | None = None
    """Also write rows and summary as one JSON document."""

    def __call__(self) -> int:
        from rich.console import Console

        from bm_sim2real.result_json import write_result

        rows = compare([_group(text) for text in self.groups])
        summary = summarize(rows)
        if self.json is not None:
            write_result(self.json, command="train compare", rows=rows, summary=summary, passed=True)
        console = Console()
        (console if console.is_terminal else Console(width=200)).print(_table(summary))
        return 0


def compare(groups: Sequence[tuple[str, Sequence[Path]]]) -> list[dict[str, Any]]:
    """A row an evaluation. Raises ConfigError for documents of other commands or bins."""
    documents = [(label, path, _read(path)) for label, paths in groups for path in paths]
    if not documents:
        raise ConfigError("compare: no evaluation given; write LABEL=FILE,FILE")
    keys = [_bins(document)[0] for _, _, document in documents]
    for (_, path, _), key in zip(documents, keys, strict=True):
        if key != keys[0]:
            raise ConfigError(
                f"{path}: its bins are not those of {documents[0][1]}; evaluate both with the same options"
            )
    rates = np.array([_bins(document)[1] for _, _, document in documents])
    count = max(1, round(0.1 * rates.shape[1]))
    common = np.argsort(-rates.mean(axis=0), kind="stable")[:count]
    return [
        {
            "label": label,
            "file": path.name,
            "policy_steps": document["summary"]["policy_steps"],
            **{key: document["summary"][key] for key in _NEEDED if key in _SHOWN},
            "own_worst_tenth": float(np.sort(rate)[::-1][:count].mean()),
            "common_worst_tenth": float(rate[common].mean()),
        }
        for (label, path, document), rate in zip(documents, rates, strict=True)
    ]


def summarize(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean and range over the seeds of each label."""
    summary: dict[str, Any] = {}
    for label in dict.fromkeys(row["label"] for row in rows):
        group = [row for row in rows if row["label"] == label]
        summary[label] = {"runs": len(group), "policy_steps": sorted({row["policy_steps"] for row in group})}
        for key in _SHOWN:
            values = [row[key] for row in group]
            summary[label][key] = {"mean": float(np.mean(values)), "min": min(values), "max": max(values)}
    return summary


def _group(text: str) -> tuple[str, list[Path]]:
    label, separator, files = text.partition("=")
    if not separator or not label or not files:
        raise ConfigError(f"{text}: write LABEL=FILE,FILE, such as adaptive=a0.json,a1.json")
    return label, [Path(file) for file in named_parts(text, files.split(","))]


def _read(path: Path) -> dict[str, Any]:
    """ConfigError for a file that cannot be read and for anything but an evaluation with bins."""
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: not a readable JSON document: {error}") from error
    fault = _fault(document)
    if fault:
        raise ConfigError(f"{path}: no evaluation with bins ({fault}); make it with bm eval isaaclab --json")
    return document


def _fault(document: Any) -> str:
    """What a document lacks; empty: nothing."""
    parts = document if isinstance(document, dict) else {}
    summary, rows = parts.get("summary"), parts.get("rows")
    if not isinstance(summary, dict) or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return "summary and rows expected"
    missing = [key for key in _NEEDED if not _is_number(summary.get(key))]
    if missing:
        return f"{missing[0]} = {summary.get(missing[0])!r} in its summary, a number expected"
    bins = [row for row in rows if row.get("kind") == "bin"]
    if not bins:
        return "no row is of a bin"
    wrong = [row for row in bins if not (_is_number(row.get("start_s")) and _is_number(row.get("failure_rate")))]
    if wrong or not all(isinstance(row.get("clip"), str) for row in bins):
        return "a bin needs clip, start_s and failure_rate"
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _bins(document: dict[str, Any]) -> tuple[list[tuple[str, float]], list[float]]:
    rows = [row for row in document["rows"] if row.get("kind") == "bin"]
    return [(row["clip"], row["start_s"]) for row in rows], [row["failure_rate"] for row in rows]


def _table(summary: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table("", box=None, header_style="bold")
    for label, group in summary.items():
        table.add_column(
            f"{label} ({group['runs']} runs, {group['policy_steps'][-1] / 1e6:.0f} M steps)", justify="right"
        )
    for key, title in _SHOWN.items():
        cells = [group[key] for group in summary.values()]
        digits = 4 if key == "body_error_m" else 3
        table.add_row(title, *(f"{c['mean']:.{digits}f} ({c['min']:.{digits}f}-{c['max']:.{digits}f})" for c in cells))
    return table


if __name__ == "__main__":
    sys.exit(run_as_module(CompareRuns, "bm train compare"))
