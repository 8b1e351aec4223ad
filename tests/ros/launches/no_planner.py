"""g1_diffusion with a bundle that does not exist: one line, and everything goes down."""

import unittest

import launch_testing
from console import PATIENCE_S
from launched import UNATTENDED, LaunchCase, launched, processes


def generate_test_description():
    return launched("g1_diffusion", **UNATTENDED, planner="/nowhere/g1_diffusion.onnx")


class PlannerIsMissing(LaunchCase):
    def test_policy_node_says_so_and_the_launch_ends(self, proc_info, proc_output):
        proc_output.assertWaitFor("/nowhere/g1_diffusion.onnx", timeout=PATIENCE_S, stream="stderr")
        for name in processes(proc_info):
            proc_info.assertWaitForShutdown(name, timeout=PATIENCE_S)


@launch_testing.post_shutdown_test()
class Codes(unittest.TestCase):
    def test_exit_code_says_could_not_run(self, proc_info):
        codes = {name: proc_info[name].returncode for name in processes(proc_info)}
        self.assertEqual([code for name, code in codes.items() if name.startswith("policy")], [2], codes)
