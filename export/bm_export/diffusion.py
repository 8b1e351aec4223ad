"""A trained diffusion model becomes a policy bundle: graphs, golden trace, proof. Written only if it proves itself."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bm_core.atomic_file import replacing
from bm_core.contract import Training
from bm_core.diffusion.bundle import DiffusionBundle, diffusion_metadata
from bm_core.diffusion.contract import DecoderSpec, g1_diffusion_contract
from bm_core.diffusion.guidance.settings import GuidanceSpec
from bm_core.diffusion.history import History
from bm_core.diffusion.plan_precision import PlanDifference, PlanPrecision, plan_difference
from bm_core.diffusion.plan_trace import PlanTrace, PlanTraceReport, record_plans
from bm_core.diffusion.spec import DiffusionSpec
from bm_core.errors import BundleError, ClipError
from bm_core.g1 import G1
from bm_core.motion import MotionClip
from bm_core.observation_terms import ObservationTerm
from bm_core.onnx_file import read_onnx
from bm_export.diffusion_graph import identity_decoder, latent_decoder, planner_graph
from bm_export.diffusion_precision import with_precision
from bm_export.onnx_graph import with_metadata

if TYPE_CHECKING:
    from bm_training.diffusion.latent_model import ActionAutoencoder
    from bm_training.diffusion.model import TokenTransformer

PARITY_TOLERANCE = 1e-4
"""Largest |onnx - torch| / max(1, |torch|) over a whole float32 plan."""
TRACE_TOLERANCE = {"fp32": 2e-5, "fp16": 6e-3, "int8": 0.1}
"""Of a replay elsewhere, root of the mean square; five times that for single numbers. int8: inputs that differ by 1e-7
change plans by 0.02, single numbers by 0.18, because activations that round the other way change what comes after."""
MAX_PRECISION_ERROR = 0.25
"""Root of the mean square over whole plans, as plan_difference has it."""
_PLANS = 3


@dataclass(frozen=True, kw_only=True)
class DiffusionExport:
    """What was measured while exporting."""

    path: Path
    parity_error: float
    """torch against ONNX Runtime in float32, whole plans, scaled."""
    precision_error: PlanDifference
    """float32 against the precision written, whole plans; 0 for fp32."""
    trace: PlanTraceReport
    """The replay of the written file."""
    num_bytes: int


def export_diffusion(
    model: TokenTransformer,
    spec: DiffusionSpec,
    training: Training,
    clip: MotionClip,
    path: str | Path,
    precision: str = "fp32",
    guidance: GuidanceSpec | None = None,
    latent: ActionAutoencoder | None = None,
) -> DiffusionExport:
    """Write the model as a bundle; the golden trace plans on the middle of `clip`. Without `guidance`: the defaults.

    `latent` decodes the planned actions; None: they are joint actions.

    BundleError, and nothing written, if ONNX and torch differ by more than PARITY_TOLERANCE over a plan, if a
    states-only pass differs from a full one, or if the finished file does not prove itself in ONNX Runtime.
    """
    from bm_training.diffusion.sampler import NumpyDenoiser

    path = Path(path)
    _check_finite(path, model)
    graph, (decoder, felt) = planner_graph(model, spec), _decoder(spec, latent)
    small = with_precision(graph, precision)
    histories = clip_histories(clip, spec, _PLANS)
    exact = OnnxDenoise(graph.SerializeToString())
    expected = record_plans(spec, NumpyDenoiser(model), histories)
    parity = plan_difference(expected, record_plans(spec, exact, histories)).largest
    if not parity <= PARITY_TOLERANCE:
        raise BundleError(f"{path}: ONNX differs from torch by {parity:.2g} in a plan, {PARITY_TOLERANCE:g} allowed")
    _check_states_only(path, exact, spec)
    contract = g1_diffusion_contract(
        spec,
        training,
        decoder=DecoderSpec(sha256=hashlib.sha256(decoder).hexdigest(), observations=felt),
        precision=precision,
        guidance=guidance,
    )
    with replacing(path) as partial:
        partial.write_bytes(with_metadata(small, {}))
        digest = read_onnx(partial).graph_sha256
        trace = record_plans(spec, OnnxDenoise(partial.read_bytes()), histories)
        lost = _precision(path, precision, expected, trace)
        metadata = diffusion_metadata(contract, digest, decoder, trace, TRACE_TOLERANCE[precision], lost)
        partial.write_bytes(with_metadata(small, metadata))
        # The file still has its working name; errors shall give the one that the user knows.
        bundle = dataclasses.replace(DiffusionBundle.read(partial), path=path)
        report = bundle.prove(OnnxDenoise(partial.read_bytes()))
    return DiffusionExport(
        path=path,
        parity_error=parity,
        precision_error=PlanDifference(rms=0.0, largest=0.0) if lost is None else lost.error,
        trace=report,
        num_bytes=path.stat().st_size,
    )


def _precision(path: Path, precision: str, exact: PlanTrace, small: PlanTrace) -> PlanPrecision | None:
    """What smaller weights cost. BundleError beyond MAX_PRECISION_ERROR: such plans would prove nothing."""
    if precision == "fp32":
        return None
    error = plan_difference(exact, small)
    if not error.rms <= MAX_PRECISION_ERROR:
        raise BundleError(
            f"{path}: {precision} plans are {error.rms:.2g} off float32 (rms), {MAX_PRECISION_ERROR:g} allowed"
        )
    return PlanPrecision(error=error, trace=exact if precision == "int8" else None)


def _decoder(spec: DiffusionSpec, latent: ActionAutoencoder | None) -> tuple[bytes, tuple[ObservationTerm, ...]]:
    """The decoder's model file, and what it sees beside z."""
    if latent is None:
        return identity_decoder(spec.layout.step_width).SerializeToString(), ()
    from bm_training.diffusion.latent_model import PROPRIOCEPTION

    return latent_decoder(latent).SerializeToString(), PROPRIOCEPTION


def clip_histories(clip: MotionClip, spec: DiffusionSpec, count: int) -> list[History]:
    """Histories one token apart out of the middle of a clip; the actions ask for the next frame's posture."""
    layout = spec.layout
    steps, past = layout.steps_per_token, layout.present * layout.steps_per_token
    first = clip.num_frames // 2
    if first < past or first + count * steps >= clip.num_frames:
        raise ClipError(f"{clip.name}: {clip.num_frames} frames are too few for a golden trace of {count} plans")
    actions = (clip.joint_pos[1:] - G1.default_joint_pos) / G1.action_scale
    if layout.step_width != actions.shape[1]:
        actions = np.zeros((len(actions), layout.step_width))
    histories = []
    for present in range(first, first + count * steps, steps):
        rows = present + layout.state_offsets[: layout.present + 1]
        histories.append(
            History(
                root_pos_w=np.asarray(clip.root_pos)[rows],
                root_quat_w=np.asarray(clip.root_quat)[rows],
                root_lin_vel_w=clip.body_lin_vel_w[rows, 0],
                root_ang_vel_w=clip.body_ang_vel_w[rows, 0],
                joint_pos=clip.joint_pos[rows],
                joint_vel=clip.joint_vel[rows],
                actions=actions[present - past : present],
            )
        )
    return histories


class OnnxDenoise:
    """A planner graph as the sampler's `denoise`, without the runtime that is going to be checked by it."""

    def __init__(self, model: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        # As the runtime has them: int8 sums that cannot saturate, no denormal numbers.
        options.add_session_config_entry("session.x64quantprecision", "1")
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def __call__(self, states: Any, actions: Any, state_levels: Any, action_levels: Any) -> tuple[Any, Any]:
        width = self._session.get_inputs()[1].shape[2]
        empty = np.zeros((1, 0, width)), np.zeros((1, 0), dtype=np.int64)
        tokens, levels = (actions, action_levels) if actions is not None else empty
        feed = {
            "states": states.astype(np.float32),
            "actions": tokens.astype(np.float32),
            "state_levels": np.ascontiguousarray(state_levels),
            "action_levels": np.ascontiguousarray(levels),
        }
        found: list[Any] = list(self._session.run(None, feed))
        first, second = (value.astype(np.float64) for value in found)
        return first, second if actions is not None else None


def _check_states_only(path: Path, denoise: OnnxDenoise, spec: DiffusionSpec) -> None:
    rng, tokens = np.random.default_rng(0), spec.layout.tokens
    states, actions = (
        rng.normal(size=(1, tokens, codec.model_width)) for codec in (spec.state_codec, spec.action_codec)
    )
    levels = rng.integers(spec.levels + 1, size=(1, tokens))
    together, alone = denoise(states, actions, levels, levels)[0], denoise(states, None, levels, None)[0]
    error = float(np.abs(together - alone).max())
    if not error <= PARITY_TOLERANCE:
        raise BundleError(f"{path}: a states-only pass differs by {error:.2g}; the model's states see actions")


def _check_finite(path: Path, model: TokenTransformer) -> None:
    import torch

    for name, tensor in model.state_dict().items():
        if not bool(torch.isfinite(tensor).all()):
            raise BundleError(f"{path}: {name} holds NaN or infinity; take an earlier checkpoint")
