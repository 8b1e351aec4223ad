"""Whether a motion can be played by a policy from standing: what can be known without moving."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bm_core.clip_validation import limit_overshoot
from bm_core.errors import BundleError, ClipError
from bm_core.g1 import G1
from bm_core.motion import MotionClip
from bm_core.reference import MotionReference
from bm_sim2real.blend import BlendConfig, too_far
from bm_sim2real.clip_files import load_any_clip
from bm_sim2real.policies.embedded_motion import EmbeddedMotion
from bm_sim2real.standing import standing_frame


@dataclass(frozen=True, kw_only=True)
class MotionVerdict:
    """One motion, one policy."""

    name: str
    seconds: float = 0.0
    start_distance: float = 0.0
    """rad of the worst joint between the first frame and the default pose."""
    start_joint: str = ""
    """That joint."""
    joint_speed: float = 0.0
    """Largest fraction of a motor's no-load speed."""
    fastest_joint: str = ""
    limit_overshoot: float = 0.0
    """rad outside a joint's range."""
    reasons: tuple[str, ...] = ()
    """Why it must not be played."""
    warnings: tuple[str, ...] = ()
    """What the runtime or the motors will not go along with."""


def motion_for(path: str | Path) -> MotionClip | MotionVerdict:
    """The clip of a motion file or of a policy with a motion inside; a verdict if the file is there but refused.

    ClipError if there is no such file.
    """
    if not Path(path).is_file():
        raise ClipError(f"{path}: no such motion file")
    try:
        return load_any_clip(path)
    except (BundleError, ClipError) as error:
        return MotionVerdict(name=Path(path).stem, reasons=(f"motion {error}",))


def judge_motion(clip: MotionClip, *, embedded: EmbeddedMotion | None = None) -> MotionVerdict:
    """`embedded`: the policy's own motion, if it has one: some can follow no other."""
    apart = np.abs(clip.joint_pos[0] - G1.default_joint_pos)
    shares = np.abs(clip.joint_vel) / G1.velocity
    fastest = int(shares.max(axis=0).argmax())
    overshoot = float(np.max(limit_overshoot(clip.joint_pos)))
    reasons = []
    if embedded is not None and embedded.drives_action and embedded.clip is not clip:
        same = clip.num_frames == embedded.clip.num_frames and np.array_equal(clip.joint_pos, embedded.clip.joint_pos)
        reasons += [] if same else [f"motion {clip.name}: the policy's actions depend on the motion inside it alone"]
    warnings = []
    if embedded is not None and embedded.drives_action:
        warnings.append(
            f"motion {embedded.clip.name}: the actions depend on it, so that this policy can neither stand nor enter "
            "it; for bm eval and other runtimes only, bm run refuses it"
        )
    far = too_far(standing_frame(), MotionReference(clip).frame(0), BlendConfig())
    if far:
        warnings.append(f"motion {clip.name}: cannot be entered from standing: {far}")
    if shares.max() > 1.0:
        warnings.append(
            f"motion {clip.name}: {G1.joint_names[fastest]} moves at {shares.max():.2f} of its motor's no-load speed"
        )
    return MotionVerdict(
        name=clip.name,
        seconds=clip.duration,
        start_distance=float(apart.max()),
        start_joint=G1.joint_names[int(apart.argmax())],
        joint_speed=float(shares.max()),
        fastest_joint=G1.joint_names[fastest],
        limit_overshoot=overshoot,
        reasons=tuple(reasons),
        warnings=tuple(warnings),
    )
