"""`bm replay`: does a recording belong to this policy, number by number?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Run recorded observations through a policy and report the largest difference to the recorded actions.

    LOG: .h5 or .npz of `bm run --record`, or a bag of ROS 2 (its folder or .mcap) with /policy/observation and
    /policy/action. Exit 0 if no action differs by more than the tolerance, 1 if one does, 2 if it cannot be compared.
    """

    log: tyro.conf.Positional[Path]
    """The recording."""
    policy: Path | None = None
    """Policy bundle (.onnx); default: the shipped g1_tracker.onnx."""
    provider: str = "cpu"
    """Execution provider of the network: cpu, cuda or tensorrt."""
    tolerance: float = 1e-6
    """Largest difference of an action that passes."""
    json: Path | None = None
    """Also write the result as one JSON document."""

    def __call__(self) -> int:
        from bm_core.bundle import Bundle
        from bm_core.data import shipped
        from bm_core.errors import ConfigError
        from bm_sim2real.commands.progress import wide_console
        from bm_sim2real.policies.inference import OnnxSession
        from bm_sim2real.recordings.comparison import compare
        from bm_sim2real.recordings.recorded_steps import read_recording
        from bm_sim2real.result_json import write_result

        path = self.policy or shipped("policies", "g1_tracker.onnx")
        bundle, steps = Bundle.read(path), read_recording(self.log)
        if steps.graph_sha256 and steps.graph_sha256 != bundle.model.graph_sha256:
            raise ConfigError(f"{self.log}: recorded with another network than {path}; give that one with --policy")
        found = compare(steps, bundle.contract, OnnxSession(path, self.provider))
        passed = found.largest <= self.tolerance  # not a number does not pass
        wide_console().print(
            f"{found.steps} control steps, {steps.unpaired} incomplete: largest difference {found.largest:.3g} "
            f"(step {found.step}, {found.joint}), mean {found.mean:.3g}; tolerance {self.tolerance:g}: "
            f"{'passed' if passed else 'FAILED'}"
        )
        if self.json is not None:
            summary = {
                "steps": found.steps,
                "unpaired": steps.unpaired,
                "largest_difference": found.largest,
                "step": found.step,
                "joint": found.joint,
                "mean_difference": found.mean,
                "tolerance": self.tolerance,
            }
            write_result(self.json, command="replay", rows=[], summary=summary, passed=passed)
        return 0 if passed else 1
