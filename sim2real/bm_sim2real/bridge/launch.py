"""Finds the bridge of an interface, or starts one for the time of a run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from bm_core.errors import RobotError
from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.bridge.shared_memory import BridgeMemory, Word
from bm_sim2real.bridge.status import log_name
from bm_sim2real.process_groups import start_group

_START_S = 20.0
"""s for the processes to begin, beyond those for which they wait for the robot."""
_END_S = 10.0
_STATUS_S = 1.0


@contextmanager
def bridge_client(config: BridgeConfig) -> Iterator[BridgeClient]:
    """A client of the running bridge, or of one that is started here and ends, after damping, with the block.

    RobotError if the robot does not answer, or if the running bridge is not the one that `config` asks for. A bridge
    that is started here also ends when this process dies without a word.
    """
    if _attached(config.interface) is not None:
        client = BridgeClient(config.interface)
        _check_joined(config, client)
        yield client
        return
    with ExitStack() as ends:
        # A group of its own: Ctrl-C in the terminal ends the run, and the run ends the bridge.
        process = start_group(
            [sys.executable, "-m", "bm_sim2real.bridge.owned", config.to_json(), str(os.getpid())],
            lambda process: ends.callback(_end, process),
            stdout=subprocess.PIPE,
        )
        _wait_for(config, process)
        yield BridgeClient(config.interface)


def log_elsewhere(config: BridgeConfig, status: dict[str, Any]) -> str:
    """One line if the bridge does not write its events to the log that this run asks for; else empty."""
    asked, found = log_name(config.log), status.get("log")
    if asked is None or asked == found:
        return ""
    return f"WARNING: --log {config.log}: the bridge was there before this run and logs to {found or 'no file'}"


def _check_joined(config: BridgeConfig, client: BridgeClient) -> None:
    """RobotError where a running bridge differs in what this run asked for."""
    status = _status(client)
    guardian, writer = client.pids
    name = f"{config.interface}: the bridge (processes {guardian} and {writer})"
    if config.is_dry_run and not status.get("is_dry_run"):
        raise RobotError(f"{config.interface}: a bridge is running that does send commands; end it for a dry run")
    if status.get("is_dry_run") and not config.is_dry_run:
        raise RobotError(f"{name} is a dry run; end it")
    if config.user_control and not status.get("user_control"):
        raise RobotError(f"{name} was started without --user-control; end it, or leave the option out")
    if not config.estimates_base and status.get("estimates_base"):
        raise RobotError(f"{name} was started without --no-estimator; end it, or leave the option out")
    if config.is_hardware and not config.needs_battery and status.get("needs_battery"):
        raise RobotError(f"{name} was started without --ignore-battery; end it, or leave the option out")


def _status(client: BridgeClient) -> dict[str, Any]:
    """Never an empty one, which would agree with everything."""
    end = time.monotonic() + _STATUS_S
    while not (status := client.status()):
        if time.monotonic() > end:
            raise RobotError(f"{client.interface}: the bridge's status cannot be read; end it and start it again")
        time.sleep(0.01)
    return status


def _end(process: subprocess.Popen[bytes]) -> None:
    """After it has damped. What it could not say while it started, it says now."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if reason := _reason(process):
        sys.stderr.write(f"error: {reason}\n")


def _attached(interface: str) -> BridgeMemory | None:
    try:
        return BridgeMemory.attach(interface)
    except RobotError:
        return None


def _wait_for(config: BridgeConfig, process: subprocess.Popen[bytes]) -> None:
    """Until the robot has answered to the bridge of that process. RobotError as soon as it has ended."""
    end, memory = time.monotonic() + config.first_state_s + _START_S, None
    while memory is None or not _is_ready(memory, process.pid):
        if process.poll() is not None:
            ended = f"{config.interface}: the bridge ended at once with code {process.returncode}; see above"
            raise RobotError(_reason(process) or ended)
        if time.monotonic() > end:
            raise RobotError(f"{config.interface}: the bridge could not be started in time; is this computer busy?")
        time.sleep(0.05)
        memory = memory or _attached(config.interface)


def _is_ready(memory: BridgeMemory, guardian: int) -> bool:
    """Whether it is that guardian's: two runs may start a bridge at the same moment, and one of them gets it."""
    return int(memory.words[Word.GUARDIAN_PID]) == guardian and bool(memory.words[Word.IS_READY])


def _reason(process: subprocess.Popen[bytes]) -> str:
    """Why an ended bridge could not run, the first time that it is asked for."""
    return "" if process.stdout is None else process.stdout.read().decode(errors="replace").strip()
