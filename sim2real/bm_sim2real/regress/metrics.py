"""What is measured, in which direction it is better, and how much worse than its baseline it may be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One number of a scenario: the mean over its runs."""

    name: str
    unit: str
    """Empty: a share, 0 to 1."""
    is_better_high: bool
    about: str
    slack_share: float = 0.0
    """A baseline may be missed by this share of it,"""
    slack: float = 0.0
    """plus this, in the metric's unit."""

    def worsening(self, now: float, before: float) -> float:
        """By how much it got worse, in its unit; negative if better."""
        return before - now if self.is_better_high else now - before

    def is_regression(self, now: float, before: float) -> bool:
        """Whether it is worse than the baseline by more than the slack. NaN is."""
        return not self.worsening(now, before) <= self.slack_share * abs(before) + self.slack


_METRICS = (
    Metric(name="completed", unit="", is_better_high=True, about="share of runs that no termination or guard ended"),
    Metric(name="falls", unit="", is_better_high=False, about="pelvis below 0.45 m, or more than feet on the floor"),
    Metric(name="guard_stops", unit="", is_better_high=False, about="share of runs that a guard ended"),
    Metric(
        name="body_error_mm",
        unit="mm",
        is_better_high=False,
        about="14 target bodies against the re-anchored reference, mean until the end",
        slack_share=0.1,
        slack=1.0,
    ),
    Metric(
        name="anchor_error_mm",
        unit="mm",
        is_better_high=False,
        about="torso in the world, drift included",
        slack_share=0.5,
        slack=50.0,
    ),
    Metric(
        name="joint_error_rad",
        unit="rad",
        is_better_high=False,
        about="29 joints against the reference",
        slack_share=0.1,
        slack=0.005,
    ),
    Metric(
        name="clamp_share",
        unit="",
        is_better_high=False,
        about="joint-ticks that the guard corrected",
        slack_share=0.5,
        slack=0.002,
    ),
    Metric(name="upright", unit="", is_better_high=True, about="share of stops that ended in STAND without a fault"),
    Metric(
        name="stop_distance_m",
        unit="m",
        is_better_high=False,
        about="way of the pelvis from the brake to the end",
        slack_share=0.3,
        slack=0.2,
    ),
    Metric(name="success_rate", unit="", is_better_high=True, about="share of runs that did what the task asks"),
    Metric(
        name="velocity_error",
        unit="",
        is_better_high=False,
        about="missed velocity as a share of the command",
        slack_share=0.2,
        slack=0.05,
    ),
    Metric(name="as_expected", unit="", is_better_high=True, about="share of runs in which the guard answered rightly"),
    Metric(
        name="reaction_ticks",
        unit="ticks",
        is_better_high=False,
        about="writer ticks from the fault to the answer",
        slack_share=0.1,
        slack=2.0,
    ),
)
METRICS = {metric.name: metric for metric in _METRICS}


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A bound that a scenario must keep: from above or from below, as its metric is better."""

    metric: str
    bound: float

    def is_kept(self, values: dict[str, float]) -> bool:
        """Whether the measured values keep it; a metric that was not measured does not."""
        value = values.get(self.metric, float("nan"))
        return value >= self.bound if METRICS[self.metric].is_better_high else value <= self.bound

    def __str__(self) -> str:
        sign = ">=" if METRICS[self.metric].is_better_high else "<="
        return f"{self.metric} {sign} {self.bound:g}"
