"""The bridge in lockstep: one client at a time has the robot, and how it gives it back."""

import dataclasses
import itertools

import numpy as np
import pytest
from bridge_bench import Bench

from bm_core.errors import RobotError
from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.bridge.records import pack_command
from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.mailbox import PolicyCommand
from bm_sim2real.modes import Mode


def test_a_wrong_lease_damps_after_one_period(running):
    low = dataclasses.replace(running.written, seq=10_000)
    running.put()
    running.tick()
    running.memory.command.write(pack_command(12345, PolicyCommand(low=low, mode=Mode.RUNNING)))
    running.tick()
    assert np.allclose(running.robot.wire.command.q, running.q, atol=1e-6)
    assert running.ticks_until_damping() == 10
    assert running.fault.name == "wrong_lease"


def test_after_a_dead_client_the_next_one_resets_arms_and_runs(running):
    running.tick(40)
    assert running.fault.name == "silent_policy"
    successor = BridgeClient("lo", idle=running.tick)
    with pytest.raises(RobotError, match="a fault is latched"):
        successor.arm()
    successor.reset()
    successor.arm()
    running.client, running.seq = successor, 0  # it counts from 1 again, and the old one's sequence was higher
    running.run(5)
    assert running.fault is None and not running.is_damping


def test_an_old_client_cannot_command_its_successors_robot(running):
    old = running.client
    old.release()
    running.tick()
    running.client = BridgeClient("lo", idle=running.tick)
    running.client.arm()
    assert not old.is_armed
    running.run()
    old.put(PolicyCommand(low=dataclasses.replace(running.written, seq=9999), mode=Mode.RUNNING))
    running.tick(11)
    assert running.fault.name == "wrong_lease"


def test_a_second_client_cannot_arm(running):
    with pytest.raises(RobotError, match="another client has armed"):
        BridgeClient("lo", idle=running.tick).arm()
    running.run(1)
    assert running.fault is None


def test_releasing_the_lease_lets_stiffness_fade_for_half_a_second(running):
    before = running.written.kp
    running.client.release()
    running.tick()
    assert not running.client.is_armed
    shares = []
    for _ in range(260):
        running.tick()
        shares.append(float((running.written.kp / before).max()))
    assert shares[123] == pytest.approx(0.5, abs=0.01) and running.fault is None
    assert all(a >= b for a, b in itertools.pairwise(shares)) and shares[248:] == [0.0] * 12
    assert (running.written.kd[:15] == 8.0).all() and (running.written.kd[15:] == 3.0).all()


def test_a_fault_while_stiffness_fades_damps_at_once(running):
    running.client.release()
    running.tick(50)
    assert not running.is_damping
    running.core.guard.estop("now")
    running.tick()
    assert running.is_damping


def test_a_bridge_that_ends_arms_nobody(running):
    running.core.end()
    running.tick()
    with pytest.raises(RobotError, match="arm: refused: the bridge is ending"):
        BridgeClient("lo", idle=running.tick).arm()


@pytest.fixture
def impatient(tmp_path):
    """Takes an unused lease back after 0.1 s instead of 10."""
    bench = Bench(tmp_path, limits=GuardLimits(lease_ticks=50))
    yield bench
    bench.close()


def test_the_lease_of_a_client_that_never_spoke_lapses(impatient):
    impatient.client.arm()
    impatient.tick(49)
    assert impatient.client.is_armed
    with pytest.raises(RobotError, match="another client has armed"):
        BridgeClient("lo", idle=impatient.tick).arm()
    impatient.tick(2)
    assert not impatient.client.is_armed and impatient.fault is None
    BridgeClient("lo", idle=impatient.tick).arm()


def test_a_client_that_keeps_damping_keeps_its_lease(impatient):
    impatient.client.arm()
    for _ in range(12):
        impatient.put(mode=Mode.DAMPING)
        impatient.tick(10)
    assert impatient.client.is_armed
    assert GuardLimits().lease_ticks * 0.002 == 10.0


def test_a_client_in_lockstep_waits_in_simulated_time(bench, monkeypatch):
    """However long the machine takes for a tick: a stall is no dead writer."""
    monkeypatch.setattr("bm_sim2real.bridge.client.time.monotonic", iter(range(0, 10**9, 100)).__next__)
    client = BridgeClient("lo", idle=bench.tick)
    client.arm()
    client.wait_period()
    calls = []
    bench.tick(30)
    client = BridgeClient("lo", idle=lambda: calls.append(0))
    with pytest.raises(RobotError, match="the bridge's writer stands still .waited 1 s"):
        client.wait_period()
    assert len(calls) == 501
