"""Which clips a command plays: files, folders, a motion set, policies with a motion inside, or the shipped ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from bm_core.data import named_bundle, shipped_folder
from bm_core.errors import ClipError, ConfigError
from bm_core.motion import MotionClip, find_clips, load_clip

POLICY_KEY = "policy"
"""Key of a clip's meta that names the policy bundle which plays it best."""


@dataclass(frozen=True, kw_only=True)
class ClipFile:
    """A motion file, or a cut of it."""

    path: Path
    start_s: float = 0.0
    end_s: float | None = None
    """None: to the clip's end."""
    name: str | None = None
    """None: the clip's own."""
    policy: Path | None = None
    """Bundle of the expert for it; None: what the clip itself says."""

    def load(self) -> MotionClip:
        """The clip. Raises ClipError as load_clip does."""
        clip = load_any_clip(self.path, start_s=self.start_s, end_s=self.end_s)
        if self.policy is not None:
            clip = replace(clip, meta={**clip.meta, POLICY_KEY: str(self.policy)})
        return clip if self.name is None else replace(clip, name=self.name)


def load_any_clip(path: str | Path, *, start_s: float = 0.0, end_s: float | None = None) -> MotionClip:
    """A motion file, or the motion inside a policy (.onnx), which that policy then plays.

    A bundle that the clip names is made an absolute path: it lies beside the clip, else among the shipped policies.
    ClipError as load_clip's, ConfigError for a bundle that is not there, BundleError for a policy that is refused.
    """
    path = Path(path)
    if path.suffix != ".onnx":
        clip = load_clip(path, start_s=start_s, end_s=end_s)
        named = clip.meta.get(POLICY_KEY, "")
        return replace(clip, meta={**clip.meta, POLICY_KEY: str(named_bundle(named, path))}) if named else clip
    clip = _embedded_clip(path)
    clip = replace(clip, meta={**clip.meta, POLICY_KEY: str(path.resolve())})
    return clip if start_s == 0.0 and end_s is None else clip.slice(start_s, end_s)


def has_motion_inside(policy: str | Path) -> bool:
    """Whether the policy brings a motion along. BundleError as Bundle.read."""
    from bm_core.bundle import Bundle

    return Bundle.read(policy).contract.reference == "embedded"


def chosen_clips(motions: str | None, motion_set: str | None, motion_root: Path | None) -> list[ClipFile]:
    """`motions`: files and folders between commas; `motion_set`: a name or a YAML file; neither: the shipped clips.

    ConfigError if both are given, or as the motion set's loader raises; ClipError for a file that is not there.
    """
    if motions is not None and motion_set is not None:
        raise ConfigError("give --motions or --motion-set, not both")
    if motion_set is not None:
        from bm_core.motion_set import load_motion_set

        entries = load_motion_set(motion_set, motion_root=motion_root).entries
        return [ClipFile(path=e.path, start_s=e.start, end_s=e.end, name=e.clip_name, policy=e.policy) for e in entries]
    places = [shipped_folder("motions")] if motions is None else [Path(part.strip()) for part in motions.split(",")]
    paths = [path for place in places for path in find_clips(place)]
    stems = [path.stem for path in paths]
    # Results are counted by name: two files of one name must not look like one clip.
    return [ClipFile(path=p, name=None if stems.count(p.stem) == 1 else str(p.with_suffix(""))) for p in paths]


def _embedded_clip(path: Path) -> MotionClip:
    from bm_core.bundle import Bundle
    from bm_sim2real.policies.embedded_motion import read_embedded_motion

    contract = Bundle.read(path).contract
    if contract.reference != "embedded":
        raise ClipError(f"{path}: this policy has no motion inside; give a motion file")
    return read_embedded_motion(path, contract).clip
