"""Isaac Lab's simulation around a block, with errors that the user can act on told in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bm_core.errors import BmError
from bm_training.run_control import report

_COULD_NOT_RUN = 2


@contextmanager
def simulation(env_cfg: Any) -> Iterator[None]:
    """Launches what the physics of `env_cfg` needs, for as long as the block lasts.

    Isaac Lab (3.0.0) prints the traceback of whatever leaves the block, but for SystemExit: a BmError leaves as that,
    and is raised again outside.
    """
    from isaaclab.app import launch_simulation

    refused: list[BmError] = []
    try:
        # An argument called `physics` here would silently replace the physics config (isaaclab 3.0.0): pass none.
        with launch_simulation(env_cfg, None):
            try:
                yield
            except BmError as error:
                refused.append(error)
                if _is_inside_isaac_sim():  # which may end the process as soon as it closes
                    report(f"error: {error}")
                raise SystemExit(_COULD_NOT_RUN) from error
    except SystemExit:
        if not refused:
            raise
    if refused:
        raise refused[0]


def _is_inside_isaac_sim() -> bool:
    from isaaclab.utils.version import has_kit

    return has_kit()
