"""`bm export ...`: from a training run to a file that a robot can run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

if TYPE_CHECKING:
    from bm_core.motion import MotionClip
    from bm_export.checkpoint import TrainedTracker
    from bm_export.diffusion import DiffusionExport
    from bm_export.tracker import ExportReport


@dataclass(frozen=True, kw_only=True)
class ExportTracking:
    """Turn a checkpoint into a policy bundle: ONNX graph, contract, golden trace; proven before it is written.

    A bundle can be exported again: with smaller weights, with a fixed batch, with a motion inside.

    Exit 0 written, 2 refused: ONNX differs from torch, or the file does not prove itself.
    """

    checkpoint: tyro.conf.Positional[Path]
    """model_*.pt or best.pt of bm train tracking, a run's folder: its newest checkpoint, or a float32 bundle."""
    out: Path = Path("policies/g1_tracker.onnx")
    """Policy bundle to write."""
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    """Of the weights: fp16 for GPUs, int8 for CPUs; the file says what that costs."""
    batch: Literal["dynamic", "fixed"] = "dynamic"
    """Rows that the graph takes: any number, or one."""
    embed_motion: Path | None = None
    """Put this motion into the graph, which then takes time_step as whole_body_tracking's do: for its runtimes."""
    clip: tuple[Path, ...] = ()
    """Clips or folders to play for the golden trace; default: the shipped clips."""
    json: Path | None = None
    """Also write what was measured as one JSON document."""

    def __call__(self) -> int:
        from bm_core.motion import load_clip
        from bm_export.tracker import ExportOptions, export_tracker

        tracker = self._tracker()
        options = ExportOptions(
            precision=self.precision,
            fixed_batch=self.batch == "fixed",
            embed=None if self.embed_motion is None else load_clip(self.embed_motion),
        )
        report = export_tracker(tracker.actor, tracker.contract, self._clips(), self.out, options)
        print(
            f"{report.path}: {report.num_bytes / 1e6:.1f} MB, {report.observation_dim} observations, {self.precision}; "
            f"ONNX against torch {report.parity_error:.1e} on {report.parity_observations} observations, "
            f"tolerance {report.trace_tolerance:g}; golden trace of {report.trace.num_ticks} ticks replayed"
        )
        if self.json is not None:
            _write_measured(self.json, "export tracking", report, self.precision)
        return 0

    def _tracker(self) -> TrainedTracker:
        from bm_core.errors import ConfigError
        from bm_export.bundle_network import load_bundle_tracker
        from bm_export.checkpoint import load_tracker

        if self.checkpoint.suffix != ".onnx":
            return load_tracker(self.checkpoint)
        if self.checkpoint.resolve() == self.out.resolve():
            raise ConfigError(f"{self.out}: is the bundle to read from; give another file with --out")
        return load_bundle_tracker(self.checkpoint)

    def _clips(self) -> list[MotionClip]:
        """First, middle and last of the clips."""
        from bm_core.data import shipped_folder
        from bm_core.errors import ClipError
        from bm_core.motion import find_clips, load_clip

        paths = [path for where in self.clip or (shipped_folder("motions"),) for path in find_clips(where)]
        if not paths:
            raise ClipError("no clip to play for the golden trace; give one with --clip")
        return [load_clip(paths[i]) for i in sorted({0, len(paths) // 2, len(paths) - 1})]


@dataclass(frozen=True, kw_only=True)
class ExportDiffusion:
    """Turn a checkpoint into a diffusion bundle: planner and decoder graph, contract, golden trace of whole plans.

    Exit 0 written, 2 refused: ONNX differs from torch, or the file does not prove itself.
    """

    checkpoint: tyro.conf.Positional[Path]
    """model_*.pt or best.pt of bm train diffusion, or a run's folder: its newest checkpoint."""
    out: Path = Path("policies/g1_diffusion.onnx")
    """Bundle to write."""
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    """Of the weights: int8 for CPUs, fp16 for GPUs."""
    passes: int | None = None
    """Denoising passes; default: as trained (20). The following are in the contract, too."""
    action_passes: int | None = None
    """Passes for the actions after those of the states alone; 0 denoises both together."""
    eta: float | None = None
    """Noise added on the way: 1 DDPM, 0 DDIM."""
    warm_state_level: int | None = None
    """Level to which the last plan's states are re-noised; the highest (20) starts from noise."""
    warm_action_level: int | None = None
    """The same for its actions."""
    most_committed: int | None = None
    """Action tokens of the last plan that are kept at most, while the robot runs them; default: the model's spec."""
    history_action_level: int | None = None
    """Level to which the actions of the history are re-noised; the highest (20): they are not given."""
    guidance: Path | None = None
    """JSON file with guidance settings (scale, weights, ...) for the contract; it names what differs from the
    defaults."""
    clip: Path | None = None
    """Clip for the golden trace; default: the shipped walk."""
    json: Path | None = None
    """Also write what was measured as one JSON document."""

    def __call__(self) -> int:
        import dataclasses

        from bm_core.data import shipped
        from bm_core.diffusion.guidance.settings import read_guidance
        from bm_core.motion import load_clip
        from bm_export.diffusion import export_diffusion
        from bm_export.diffusion_checkpoint import load_diffusion

        trained = load_diffusion(self.checkpoint)
        names = [field.name for field in dataclasses.fields(trained.spec.sampler)]
        chosen = {name: getattr(self, name) for name in names if getattr(self, name, None) is not None}
        spec = dataclasses.replace(trained.spec, sampler=dataclasses.replace(trained.spec.sampler, **chosen))
        clip = load_clip(self.clip or shipped("motions", "walk.npz"))
        guidance = None if self.guidance is None else read_guidance(self.guidance)
        report = export_diffusion(
            trained.model, spec, trained.training, clip, self.out, self.precision, guidance, trained.latent
        )
        print(
            f"{report.path}: {report.num_bytes / 1e6:.1f} MB, {trained.model.num_parameters / 1e6:.1f} M parameters; "
            f"whole plans: ONNX against torch {report.parity_error:.1e}, {self.precision} against fp32 "
            f"{report.precision_error.rms:.1e} rms, {report.precision_error.largest:.1e} at most; "
            f"golden trace of {report.trace.num_plans} plans replayed"
        )
        if self.json is not None:
            _write_measured(self.json, "export diffusion", report, self.precision)
        return 0


def _write_measured(path: Path, command: str, report: ExportReport | DiffusionExport, precision: str) -> None:
    import dataclasses

    from bm_core.onnx_file import read_onnx
    from bm_sim2real.result_json import write_result

    model = read_onnx(report.path)
    facts = {key: value for key, value in dataclasses.asdict(report).items() if key != "trace"}
    facts |= {"precision": precision, "opset": model.opset, "ir_version": model.ir_version}
    facts |= {"graph_sha256": model.graph_sha256, "trace": dataclasses.asdict(report.trace)}
    write_result(path, command=command, rows=[], summary=facts, passed=True)
