"""The planner as its own process: the same plans as in lockstep, and a death that the policy notices."""

import functools
import os
import signal
import time

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from test_diffusion_policy import reading, targets, watched  # noqa: E402
from tiny_planner import frozen, plain_spec, tiny_policy  # noqa: E402

from bm_core.diffusion.planner import Planner  # noqa: E402
from bm_core.errors import BundleError, RobotError  # noqa: E402
from bm_sim2real.planning.process import ProcessSource  # noqa: E402

PATIENCE_S = 30.0
"""Longer than any machine takes; a test that waits so long fails."""


def make_planner():
    return Planner(plain_spec(), frozen)


def refuse():
    raise BundleError("graph.onnx: the network runs differently here")


@pytest.fixture
def policy():
    policy = tiny_policy()
    policy.source = ProcessSource(make_planner, 1)
    yield policy
    policy.close()


def until(condition):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def take_plan(policy):
    until(lambda: policy._take() or policy.plan is not None)
    return policy.plan


def test_the_process_plans_what_lockstep_plans(policy):
    lockstep = tiny_policy(latency_steps=0)
    for one in (policy, lockstep):
        watched(one, 9)
    np.testing.assert_array_equal(take_plan(policy).actions, lockstep.plan.actions)
    assert policy.plan.step == lockstep.plan.step == 8


def test_a_plan_of_the_time_before_a_reset_is_not_taken(policy):
    watched(policy, 9)
    until(lambda: policy.source._link.poll(0))
    policy.reset()
    watched(policy, 9, wanted_from=99)
    assert policy.plan is None and not policy.source.is_busy
    watched(policy, 1)
    assert take_plan(policy).step == 9


def test_a_killed_planner_is_noticed_and_the_plan_runs_out(policy):
    watched(policy, 9)
    take_plan(policy)
    os.kill(policy.source.pid, signal.SIGKILL)
    until(lambda: not policy.source._process.is_alive())
    for step in range(9, 40):
        policy.see(reading(step))
        if policy.act() is None:
            policy.watch(targets(step))
    assert policy.source.reason.startswith("gone") and not policy.source.is_busy
    assert policy.steps_left == 0


def test_a_stopped_planner_delays_nothing(policy):
    watched(policy, 9)
    take_plan(policy)
    os.kill(policy.source.pid, signal.SIGSTOP)
    try:
        for step in range(9, 60):
            policy.see(reading(step))
            policy.watch(targets(step))
        assert policy.source.is_busy and policy.steps_left == 0
    finally:
        os.kill(policy.source.pid, signal.SIGCONT)
    until(lambda: policy._take() or policy.plan.step > 8)


def test_a_bundle_that_does_not_prove_itself_is_refused_with_its_reason():
    with pytest.raises(RobotError, match="planner process: graph.onnx: the network runs differently here"):
        ProcessSource(refuse, 1)


def test_the_maker_of_a_planner_may_be_partial():
    source = ProcessSource(functools.partial(make_planner), 1)
    assert source.pid > 0 and not source.reason
    source.close()
    assert source.reason == "closed"
