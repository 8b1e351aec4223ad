"""The bridge that a run starts for itself, as processes: how it fails, and that it does not outlive its run."""

import os
import signal
import subprocess
import sys
import time

import pytest
import unitree_wire  # noqa: F401  the DDS extra, and a tag of our own
from processes import eventually, is_alive

from bm_core.errors import RobotError
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.bridge.launch import bridge_client
from bm_sim2real.bridge.shared_memory import BridgeMemory, Word, memory_path
from bm_sim2real.process_groups import kill_groups

PATIENCE_S = 120.0
"""For a process that starts or ends beside others that hardly let it."""
RUN = f"""
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.bridge.launch import bridge_client
with bridge_client(BridgeConfig(first_state_s={PATIENCE_S})):
    pass
"""


def test_a_bridge_ends_with_the_run_that_started_it_however_that_dies():
    """Its robot has not answered yet; a bridge that commands one ends in the same way, after damping."""
    run = subprocess.Popen([sys.executable, "-c", RUN], start_new_session=True)
    pids = []
    try:

        def is_started():
            try:
                words = BridgeMemory.attach("lo").words
            except RobotError:
                return False
            pids[:] = [int(words[Word.GUARDIAN_PID]), int(words[Word.WRITER_PID])]
            return all(pids)

        eventually(is_started, "guardian and writer", PATIENCE_S / 2)
        assert all(map(is_alive, pids))
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        eventually(lambda: not any(map(is_alive, pids)), "the bridge's end", PATIENCE_S / 2)
    finally:
        kill_groups([run], *filter(is_alive, pids))
        memory_path("lo").unlink(missing_ok=True)


def test_a_bridge_that_cannot_start_says_why_once_and_nobody_waits_for_it(capfd):
    config = BridgeConfig(interface="no-such-if0", first_state_s=PATIENCE_S)
    start = time.monotonic()
    with pytest.raises(RobotError, match="no-such-if0") as raised, bridge_client(config):
        pass
    assert time.monotonic() - start < PATIENCE_S and "\n" not in str(raised.value)
    assert "error: " not in capfd.readouterr().err


def test_a_robot_that_does_not_answer_is_one_error():
    start = time.monotonic()
    config = BridgeConfig(first_state_s=1.0)
    with pytest.raises(RobotError, match="lo: no reading on rt/lowstate in 1 s") as raised, bridge_client(config):
        pass
    assert time.monotonic() - start < 20.0 and "\n" not in str(raised.value)
