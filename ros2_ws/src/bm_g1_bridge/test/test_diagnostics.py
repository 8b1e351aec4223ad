"""Diagnoses as diagnostic_msgs."""

from bm_g1_bridge.publishers import diagnostic_array, time_message
from diagnostic_msgs.msg import DiagnosticStatus

from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.ros_support.diagnostics import bridge_diagnoses


def test_a_latched_fault_is_an_error_that_says_what_helps():
    fault = {"name": "silent_policy", "detail": "nothing for 30 ticks", "tick": 7}
    message = diagnostic_array(bridge_diagnoses({"fault": fault}, 0.0, GuardLimits()), time_message(1.0), "g1")
    (guard,) = [status for status in message.status if status.name == "bridge: guard"]
    assert guard.level == DiagnosticStatus.ERROR
    assert "silent_policy" in guard.message and "/reset" in guard.message
    assert {pair.key: pair.value for pair in guard.values}["fault_tick"] == "7"
    assert {status.hardware_id for status in message.status} == {"g1"}
