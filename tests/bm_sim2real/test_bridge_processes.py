"""Bridge, guardian, simulated G1 and client as processes of their own, over DDS on loopback, with real signals.

Reactions are counted in the writer's or guardian's ticks, read from the event log; no wall-clock time is asserted. The
limits are wider than on the robot and time passes at a quarter of the clock's speed, or a machine that stalls for 90 ms
would fail here for reasons of its own.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("cyclonedds", reason="the hardware extra is not installed (x86-64 only)")

from processes import eventually

from bm_core.errors import RobotError
from bm_core.g1 import G1
from bm_core.state import LowCommand
from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.bridge.event_log import read_events
from bm_sim2real.bridge.shared_memory import memory_path
from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.mailbox import PolicyCommand
from bm_sim2real.modes import Mode
from bm_sim2real.process_groups import kill_groups
from bm_sim2real.robots.unitree.dds import LOW_COMMAND_TOPIC, DdsLink
from bm_sim2real.robots.unitree.low_command import read_low_command
from bm_sim2real.robots.unitree.sdk import load_sdk

pytestmark = pytest.mark.slow

LIMITS = GuardLimits(
    silent_ticks=250,
    silent_wall_s=1.25,
    stale_state_ticks=250,
    frozen_ticks=250,
    guardian_silent_ticks=200,
    guardian_lost_ticks=200,
    exit_damping_s=0.2,
)
FACTOR = 0.25
SIMULATION = f"""
from bm_sim2real.commands.sim_robot import SimRobot
SimRobot(seconds=600.0, lower_after=0.0, real_time_factor={FACTOR})()
"""
CLIENT = """
import sys
sys.path.insert(0, sys.argv[1])
from test_bridge_processes import PATIENCE, BridgeClient, drive
client = BridgeClient("lo")
client.arm(PATIENCE)
print("armed", flush=True)
drive(client, 10_000)
"""
PATIENCE = 180.0


def drive(client, periods, start=0):
    """A client that holds the default pose."""
    zero = np.zeros(29)
    for k in range(start + 1, start + periods + 1):
        client.wait_period(PATIENCE)
        low = LowCommand(seq=k, state_seq=0, q=G1.default_joint_pos, dq=zero, tau=zero, kp=G1.kp, kd=G1.kd)
        client.put(PolicyCommand(low=low, mode=Mode.HANG))


def drive_until_fault(client, start):
    """Holds on until the writer has a fault: a stall of the test must not be what it answers."""
    end = time.monotonic() + PATIENCE
    with contextlib.suppress(RobotError):
        while client.fault is None:
            assert time.monotonic() < end, "never came: fault"
            drive(client, 1, start=start)
            start += 1


class Stage:
    """The processes of one test."""

    def __init__(self, folder, simulation):
        self.log = folder / "events.jsonl"
        self.config = BridgeConfig(log=self.log, limits=LIMITS, first_state_s=PATIENCE, real_time_factor=FACTOR)
        self.processes = []
        self.simulation = simulation
        self.bridge = self.start("-m", "bm_sim2real.bridge.guardian", self.config.to_json())
        self.listener = DdsLink("lo")
        self.client = self.attach()
        self.reader = self.listener.reader(LOW_COMMAND_TOPIC, load_sdk().LowCmd, depth=50)

    def start(self, *arguments, **options):
        process = subprocess.Popen([sys.executable, *arguments], start_new_session=True, **options)
        self.processes.append(process)
        return process

    def attach(self):
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return BridgeClient("lo", ready_s=PATIENCE)
            except RobotError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    @property
    def writer_pid(self):
        return self.client.pids[1]

    def events(self, name):
        return [event for event in read_events(self.log) if event["event"] == name]

    def damps_on_the_wire(self):
        """Whether a whole batch of frames damps, and nothing else; a busy machine still has older ones under way."""
        self.reader.take()
        return any(self.a_batch_damps() for _ in range(10))

    def a_batch_damps(self):
        frames = []
        eventually(lambda: frames.extend(self.reader.take()) or len(frames) >= 20, "frames on rt/lowcmd")
        messages = [read_low_command(frame) for frame in frames]
        return all(m.is_intact and m.values[:, 3].max() == 0.0 and m.values[:29, 4].min() >= 3.0 for m in messages)

    def close(self):
        kill_groups(self.processes, self.client.pids[1] if hasattr(self, "client") else 0)
        # Who was killed is remembered for a while, and would be a second publisher in the next test.
        eventually(lambda: not self.listener.publishers(LOW_COMMAND_TOPIC), "an empty topic")
        self.listener.close()
        memory_path("lo").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def simulations():
    """The simulated robot of all tests here; one that a test has killed is followed by another."""
    os.environ.setdefault("BM_DDS_TAG", f"test-{os.getpid()}")
    running = []

    def living():
        if not running or running[-1].poll() is not None:
            running.append(subprocess.Popen([sys.executable, "-c", SIMULATION], start_new_session=True))
        return running[-1]

    yield living
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture
def stage(tmp_path, simulations):
    stage = Stage(tmp_path, simulations())
    yield stage
    stage.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_writer_that_is_killed_or_stopped_is_replaced_by_the_guardian(stage, number):
    stage.client.arm(PATIENCE)
    drive(stage.client, 20)
    os.kill(stage.writer_pid, number)
    eventually(lambda: stage.client.has_guardian_taken_over, "takeover")
    assert stage.damps_on_the_wire()
    eventually(lambda: stage.events("takeover"), "takeover in the log")
    assert stage.events("takeover")[0]["silent_ticks"] == 200
    assert not stage.client.is_armed and stage.client.fault.name == "writer_silent"
    with contextlib.suppress(ProcessLookupError):
        os.kill(stage.writer_pid, signal.SIGCONT)  # it must be gone for good, or it would come back with old commands
    assert stage.damps_on_the_wire()
    stage.bridge.send_signal(signal.SIGTERM)
    assert stage.bridge.wait(PATIENCE) == 1


def test_a_client_killed_while_running_leaves_a_damping_bridge_for_the_next(stage):
    client = stage.start("-c", CLIENT, os.path.dirname(__file__), stdout=subprocess.PIPE)
    assert client.stdout.readline() == b"armed\n"
    eventually(lambda: stage.client.status().get("mode") == "hang", "the client's mode")
    client.kill()
    eventually(lambda: stage.client.fault is not None, "fault")
    assert stage.client.fault.name == "silent_policy"
    assert stage.damps_on_the_wire()
    eventually(lambda: stage.events("fault"), "fault in the log")
    assert stage.events("fault")[0]["command_age_ticks"] == LIMITS.silent_ticks
    stage.client.reset(PATIENCE)
    stage.client.arm(PATIENCE)
    drive(stage.client, 20)
    assert stage.client.is_armed and stage.client.fault is None


@pytest.mark.parametrize("to", ["guardian", "writer"])
def test_sigterm_damps_and_ends_in_good_order(stage, to):
    stage.client.arm(PATIENCE)
    drive(stage.client, 20)
    os.kill(stage.bridge.pid if to == "guardian" else stage.writer_pid, signal.SIGTERM)
    assert stage.bridge.wait(PATIENCE) == 0
    end = stage.events("end")[0]
    assert end["status"]["mode"] == "damping"
    assert stage.events("fault")[0]["name"] == "shutdown"
    assert end["tick"] - stage.events("fault")[0]["tick"] > 20


def test_ctrl_c_in_the_terminal_damps_too(stage):
    os.killpg(stage.bridge.pid, signal.SIGINT)
    assert stage.bridge.wait(PATIENCE) == 0
    assert stage.events("end")[0]["status"]["mode"] == "damping"


def test_a_terminal_that_hangs_up_or_stops_its_processes_drops_no_robot(stage):
    stage.client.arm(PATIENCE)
    drive(stage.client, 20)
    os.killpg(stage.bridge.pid, signal.SIGTSTP)
    os.killpg(stage.bridge.pid, signal.SIGHUP)
    drive(stage.client, 40, start=20)
    assert stage.client.is_armed and stage.client.fault is None and stage.bridge.poll() is None
    stage.client.release()  # nobody is armed, and nobody can end it with Ctrl-C any more
    assert stage.bridge.wait(PATIENCE) == 0
    assert stage.events("end")[0]["status"]["mode"] == "damping"
    assert not stage.events("takeover")


@pytest.mark.parametrize("to", ["guardian", "writer"])
def test_the_signal_estop_damps(stage, to):
    assert "real-time priority" in (found := stage.client.status()["realtime"]) or "SCHED_FIFO 70" in found
    pid = stage.bridge.pid if to == "guardian" else stage.writer_pid
    stage.client.arm(PATIENCE)
    drive(stage.client, 20)
    os.kill(pid, signal.SIGUSR1)
    drive_until_fault(stage.client, start=20)
    eventually(lambda: stage.client.fault is not None, "fault")
    assert stage.client.fault.name == "estop"
    assert stage.damps_on_the_wire()


def test_a_writer_without_its_guardian_damps_and_still_owns_the_robot(stage):
    stage.client.arm(PATIENCE)
    drive(stage.client, 20)
    os.kill(stage.bridge.pid, signal.SIGKILL)
    stage.bridge.wait()
    eventually(lambda: stage.client.fault is not None, "fault")
    assert stage.client.fault.name == "guardian_lost"
    assert stage.damps_on_the_wire()
    second = stage.start("-m", "bm_sim2real.bridge.guardian", stage.config.to_json(), stderr=subprocess.PIPE)
    assert second.wait(PATIENCE) == 2
    assert f"and {stage.writer_pid}) has this robot" in second.stderr.read().decode()


def test_a_writer_whose_guardian_is_stopped_damps(stage):
    stage.client.arm(PATIENCE)
    drive(stage.client, 20)
    os.kill(stage.bridge.pid, signal.SIGSTOP)
    with contextlib.suppress(RobotError):
        drive(stage.client, 100, start=20)
    eventually(lambda: stage.client.fault is not None, "fault")
    assert stage.client.fault.name == "guardian_lost" and "stands still" in stage.client.fault.detail
    assert stage.damps_on_the_wire()


def test_a_robot_that_dies_is_damped_blindly(stage):
    stage.client.arm(PATIENCE)
    drive(stage.client, 20)
    stage.simulation.kill()
    stage.simulation.wait()
    with contextlib.suppress(RobotError):
        drive(stage.client, 40, start=20)
    eventually(lambda: stage.client.fault is not None, "fault")
    assert stage.client.fault.name == "stale_state"
    eventually(lambda: stage.events("fault"), "fault in the log")
    assert stage.events("fault")[0]["state_age_ticks"] == LIMITS.stale_state_ticks
    assert stage.damps_on_the_wire()


def test_unreachable_robot_is_one_line_and_exit_2(tmp_path, monkeypatch):
    monkeypatch.setenv("BM_DDS_TAG", f"nobody-{os.getpid()}")
    config = BridgeConfig(first_state_s=0.2)
    done = subprocess.run(
        [sys.executable, "-m", "bm_sim2real.bridge.guardian", config.to_json()], capture_output=True, timeout=PATIENCE
    )
    memory_path("lo").unlink(missing_ok=True)
    assert done.returncode == 2
    assert done.stderr.decode().count("\n") == 1 and b"error: lo: no reading on rt/lowstate" in done.stderr
