"""`bm motion check --fit-set`: the clips that can be tracked, as a motion set for training and evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from bm_core.atomic_file import atomic_write_text
from bm_core.errors import ConfigError
from bm_core.motion_set import SET_SUFFIXES
from bm_core.motions_yaml import FILE_NAME as MOTIONS_YAML
from bm_training.motions.check import UNFIT, ClipCheck
from bm_training.motions.check_table import unfit_reason

LINE_WIDTH = 120


def check_fit_set(file: Path, *, fps: float | None, quat: str | None) -> None:
    """ConfigError if the set could not be read again, or not with the same clips in it; asked before the work."""
    if file.suffix not in SET_SUFFIXES:
        raise ConfigError(f"--fit-set {file}: must end in {' or '.join(SET_SUFFIXES)}, as a motion set does")
    if file.name == MOTIONS_YAML:
        raise ConfigError(f"--fit-set {file}: {MOTIONS_YAML} is for rate and quaternion order; choose another name")
    if fps is not None or quat is not None:
        raise ConfigError(
            f"--fit-set {file}: a motion set cannot hold --fps and --quat; "
            f"say them in a {MOTIONS_YAML} beside the files, or check clips that bm motion convert has made"
        )


def write_fit_set(file: Path, checks: Sequence[ClipCheck]) -> list[Path]:
    """Write the motion set of all clips that are neither refused nor unfit, whole or not at all; returns their files.

    ConfigError if there are none, if two of them have one name, or if `file` cannot be written.
    """
    # A file that was given by two paths is one clip: the set's reader, too, goes by where a path leads.
    clips = list(dict.fromkeys(check.path.resolve() for check in checks if check.is_fit))
    if not clips:
        raise ConfigError(f"--fit-set {file}: none of {len(checks)} clips is fit; without --fit-set you see why")
    _refuse_equal_names(file, clips)
    # As the set's reader does it: relative to the folder of the path that it is given, link or not.
    folder = file.parent.resolve()
    entries = [{"path": _path_in_set(clip, folder)} for clip in clips]
    document = {"name": file.stem, "description": _description(checks), "motions": entries}
    atomic_write_text(file, yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=LINE_WIDTH))
    return clips


def _refuse_equal_names(file: Path, clips: Sequence[Path]) -> None:
    first: dict[str, Path] = {}
    for clip in clips:
        other = first.setdefault(clip.stem, clip)
        if other != clip:
            raise ConfigError(f"--fit-set {file}: {other} and {clip} have one name; rename one of them")


def _path_in_set(clip: Path, folder: Path) -> str:
    """Relative below the set's own folder, which can then be moved as a whole; absolute elsewhere, so the set can."""
    return str(clip.relative_to(folder)) if folder in clip.parents else str(clip)


def _description(checks: Sequence[ClipCheck]) -> str:
    rule = f"a link more than {100 * UNFIT.penetration:g} cm below the floor"
    left_out = [f"{check.name} ({unfit_reason(check) or 'refused'})" for check in checks if not check.is_fit]
    return (
        f"Clips that bm motion check neither refuses nor finds unfit ({rule}). "
        f"Left out of {len(checks)}: {', '.join(left_out) or 'none'}."
    )
