"""Finds the bridge of an interface, or starts one for the time of a run."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bm_core.errors import RobotError
from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.bridge.shared_memory import BridgeMemory
from bm_sim2real.process_groups import start_group

_START_S = 10.0
_END_S = 10.0


@contextmanager
def bridge_client(config: BridgeConfig) -> Iterator[BridgeClient]:
    """A client of the running bridge, or of one that is started here and ends, after damping, with the block.

    RobotError if the robot does not answer, or if a bridge is running but a dry run was asked for and it is none.
    """
    if _is_running(config.interface):
        client = BridgeClient(config.interface)
        if config.is_dry_run and not client.status().get("is_dry_run"):
            raise RobotError(f"{config.interface}: a bridge is running that does send commands; end it for a dry run")
        yield client
        return
    with ExitStack() as ends:
        # A group of its own: Ctrl-C in the terminal ends the run, and the run ends the bridge.
        process = start_group(
            [sys.executable, "-m", "bm_sim2real.bridge.guardian", config.to_json()],
            lambda process: ends.callback(_end, process),
        )
        _wait_for(config.interface, process)
        yield BridgeClient(config.interface, ready_s=config.first_state_s + _START_S)


def _end(process: subprocess.Popen[bytes]) -> None:
    """After it has damped."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()


def _is_running(interface: str) -> bool:
    try:
        BridgeMemory.attach(interface)
    except RobotError:
        return False
    return True


def _wait_for(interface: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START_S
    while not _is_running(interface):
        if process.poll() is not None or time.monotonic() > end:
            raise RobotError(f"{interface}: the bridge could not be started; see the line above")
        time.sleep(0.05)
