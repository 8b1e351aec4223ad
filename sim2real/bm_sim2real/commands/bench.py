"""`bm bench`: what the runtime costs here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from bm_sim2real.bench.control_tick import TickTimes

TICK_MS, INFERENCE_TICK_MS, REALTIME_FACTOR = 0.3, 1.0, 15.0
"""Bars: control tick without and with inference, p99, quiet and under load; simulation with the policy in the loop."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Time control tick, inference, simulation and bridge. Exit 0 passed, 1 a bar is missed, 2 could not run.

    Bars, with --policy a tracker: tick without inference p99 < 0.3 ms, with it < 1 ms, idle and under load; simulation
    15 x real time. Plans of a diffusion policy: bm bench diffusion. Sampler, motion gather: bm bench training.
    """

    policy: Path | None = None
    """Policy bundle (.onnx); default: the shipped g1_tracker.onnx."""
    motion: Path | None = None
    """Motion file that is tracked; default: a shipped stream of walking."""
    steps: int = 1500
    """Control steps (20 ms) for each measurement."""
    loads: int | None = None
    """Busy processes beside the ticks under load; default: the cores of this machine, 0 leaves this part out."""
    bridge_seconds: float = 0.0
    """Also run bridge, guardian and simulated robot over DDS in real time for so many s: jitter beside a bare loop."""
    realtime: bool = True
    """Measure the ticks with the real-time priority that the control process asks for, where the system permits it."""
    json: Path | None = None
    """Also write rows and summary as one JSON document."""

    def __call__(self) -> int:
        from bm_core.errors import ConfigError
        from bm_sim2real.commands.progress import cores, tracked, wide_console
        from bm_sim2real.result_json import write_result

        loads = cores() if self.loads is None else self.loads
        if self.steps < 50 or loads < 0 or self.bridge_seconds < 0.0:
            raise ConfigError("--steps must be at least 50, --loads and --bridge-seconds at least 0")
        parts = [self._simulation, self._inference, lambda: self._ticks(0)]
        parts += [lambda: self._ticks(loads)] if loads else []
        parts += [self._bridge] if self.bridge_seconds else []
        rows: list[dict[str, Any]] = []
        with tracked("measurements", len(parts)) as advance:
            for part in parts:
                rows += part()
                advance(None)
        passed = all(row["passed"] is not False for row in rows)
        if self.json is not None:
            write_result(self.json, command="bench", rows=rows, summary=_summary(rows), passed=passed)
        console = wide_console()
        console.print(_table(rows))
        console.print("passed" if passed else "FAILED")
        return 0 if passed else 1

    def _policy(self) -> Path:
        from bm_core.data import shipped

        return self.policy or shipped("policies", "g1_tracker.onnx")

    def _clip(self) -> Any:
        from bm_core.data import shipped
        from bm_core.motion import load_clip

        return load_clip(self.motion or shipped("motions", "stream_s2_000.npz"))

    def _simulation(self) -> list[dict[str, Any]]:
        from bm_core.g1 import CONTROL_DT
        from bm_sim2real.bench.bare import bare_simulation_factor
        from bm_sim2real.bench.control_tick import policy_loop_factor

        bare = bare_simulation_factor(self.steps * CONTROL_DT)
        factor = policy_loop_factor(self._policy(), self._clip(), self.steps)
        return [
            _single("simulation, bare MuJoCo", bare, "x real time"),
            _single("simulation with policy and guard", factor, "x real time", bar=REALTIME_FACTOR, beside=bare),
        ]

    def _inference(self) -> list[dict[str, Any]]:
        from bm_sim2real.bench.bare import time_bare_session, time_session

        bare = _times("inference, bare onnxruntime", time_bare_session(self._policy(), self.steps))
        return [bare, _times("inference, our session", time_session(self._policy(), self.steps), beside=bare["p50"])]

    def _ticks(self, loads: int) -> list[dict[str, Any]]:
        import os
        from contextlib import suppress

        from bm_sim2real.bench.control_tick import load, time_ticks

        before = os.sched_getscheduler(0), os.sched_getparam(0)
        with load(loads):  # begun first: children inherit the priority, and would then never let go of a core
            if self.realtime:
                with suppress(OSError):  # not permitted: measured as it is, and the row says so
                    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
            is_realtime = os.sched_getscheduler(0) == os.SCHED_FIFO
            try:
                times = time_ticks(self._policy(), self._clip(), self.steps)
            finally:
                os.sched_setscheduler(0, *before)
        where = f", {loads} busy processes" if loads else ""
        return _stages(times, where + (", real-time priority" if is_realtime else ", normal priority"))

    def _bridge(self) -> list[dict[str, Any]]:
        from bm_core.data import shipped
        from bm_sim2real.robots.unitree.dds import own_tag
        from bm_sim2real.soak import LATE, Soak

        own_tag("bench")
        run = Soak(self._policy(), [shipped("motions", "stream_s2_000.npz")])
        try:
            result = run.run(self.bridge_seconds)
        finally:
            run.close()
        late = {name: result.late_ticks(name) / max(1, sum(result.late[name])) for name in ("writer", "bare loop")}
        rows = [
            {"name": f"bridge, {name.replace('_', ' ')}", **values, "unit": "ms", "bar": None, "passed": None}
            for name, values in result.status["timing_ms"].items()
            if values
        ]
        writer = _single(
            f"bridge, ticks > {LATE:g} ms late", 100.0 * late["writer"], "%", beside=100.0 * late["bare loop"]
        )
        return [*rows, writer]


def _stages(times: TickTimes, where: str) -> list[dict[str, Any]]:
    return [
        _times(f"observation{where}", times.observation),
        _times(f"inference{where}", times.inference),
        _times(f"state machine, task guard{where}", times.rest),
        _times(f"control tick without inference{where}", times.without_inference, bar=TICK_MS),
        _times(f"control tick{where}", times.machine, bar=INFERENCE_TICK_MS),
        _times(f"command guard, a writer tick{where}", times.guard),
        _times(f"physics, a writer tick{where}", times.physics),
    ]


def _times(name: str, seconds: Sequence[float], *, bar: float | None = None, beside: float | None = None) -> Any:
    """A row of times; `bar` holds for p99, `beside` is what a bare loop takes (p50)."""
    from bm_sim2real.timing import percentiles

    values = percentiles(seconds, 1e3)
    passed = None if bar is None else values["p99"] < bar
    row = {"name": name, **values, "unit": "ms", "bar": bar, "passed": passed}
    return row if beside is None else {**row, "ratio": values["p50"] / beside}


def _single(name: str, value: float, unit: str, *, bar: float | None = None, beside: float | None = None) -> Any:
    """A row of one number, the higher the better where there is a bar."""
    passed = None if bar is None else value >= bar
    row = {"name": name, "p50": value, "p99": None, "max": None, "unit": unit, "bar": bar, "passed": passed}
    return row if beside is None else {**row, "ratio": value / beside if beside else None}


def _summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """name -> {p50, p99, max, unit}."""
    return {row["name"]: {key: row[key] for key in ("p50", "p99", "max", "unit")} for row in rows}


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    from rich.table import Table

    table = Table("what", box=None, header_style="bold", pad_edge=False)
    for heading in ("p50", "p99", "max", "unit", "to bare", "bar"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for row in rows:
        numbers = ["" if row.get(key) is None else f"{row[key]:.3g}" for key in ("p50", "p99", "max")]
        ratio = "" if row.get("ratio") is None else f"{row['ratio']:.2f} x"
        bar = "" if row["bar"] is None else f"{row['bar']:g}"
        verdict = {None: "", True: "passed", False: "FAILED"}[row["passed"]]
        table.add_row(row["name"], *numbers, row["unit"], ratio, bar, verdict)
    return table
