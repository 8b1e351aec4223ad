"""The life of a lifecycle node's process: transitions by itself if wanted, signals, and an end that damps first."""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import NoReturn

import rclpy
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNode, State, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from bm_core.errors import BmError
from bm_sim2real.bridge.realtime import make_realtime

COULD_NOT_RUN = 2
FAILED = 1
PRIORITY = 30
"""Below every process that moves the robot (50 and more), above what else a computer does: news must not be late."""
_TURN_S = 0.1
"""s that the executor waits at most before it looks whether the node has ended."""
_END_S = 4.0
"""s that callbacks have to end; `ros2 launch` waits 5."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_REFUSED = (BmError, ParameterException)
"""What a constructor raises for parameters that make no sense, or have the wrong type or are out of their range."""


class OperatedNode(LifecycleNode):
    """A lifecycle node whose process ends when it says so, never before `damp`."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.stop = threading.Event()
        self.exit_code = 0
        self.declare(
            "autostart", True, "Configure and activate by itself; false leaves both to a lifecycle manager.", fixed=True
        )

    def declare(
        self,
        name: str,
        default: bool | int | float | str,
        description: str,
        *,
        lowest: float | None = None,
        highest: float | None = None,
        fixed: bool = False,
    ) -> None:
        """A parameter with its type, range and meaning. `fixed`: cannot be changed once the node runs."""
        descriptor = ParameterDescriptor(description=description, read_only=fixed)
        if lowest is not None and highest is not None and isinstance(default, float):
            descriptor.floating_point_range = [FloatingPointRange(from_value=lowest, to_value=highest, step=0.0)]
        elif lowest is not None and highest is not None:
            descriptor.integer_range = [IntegerRange(from_value=int(lowest), to_value=int(highest), step=0)]
        self.declare_parameter(name, default, descriptor)

    def value(self, name: str):
        """Of a parameter."""
        return self.get_parameter(name).value

    def end(self, code: int) -> None:
        """Ends the process, from any thread."""
        self.exit_code = self.exit_code or code
        self.stop.set()

    def damp(self) -> None:
        """Damps the robot, as far as it is this node that moves it; called before the process ends, in any state."""

    def let_go(self) -> None:
        """Damps, and gives up what it was configured with: it can be configured again."""

    def close(self) -> None:
        """Lets everything else go, when no callback runs any more."""

    def on_cleanup(self, state: State) -> TransitionCallbackReturn:
        """`let_go`, as with every way out of a configured node."""
        self.let_go()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: State) -> TransitionCallbackReturn:
        """As cleanup."""
        return self.on_cleanup(state)

    def on_error(self, state: State) -> TransitionCallbackReturn:
        """As cleanup: from unconfigured everything can begin again."""
        return self.on_cleanup(state)

    def begin(self) -> bool:
        """Configure and activate; False if one of them is refused."""
        return (
            self.trigger_configure() == TransitionCallbackReturn.SUCCESS
            and self.trigger_activate() == TransitionCallbackReturn.SUCCESS
        )


def run(make_node: Callable[[], OperatedNode], threads: int = 3) -> None:
    """The main function of a node. SIGINT and SIGTERM end it after `damp`, while its topics still work."""
    realtime = make_realtime(PRIORITY)  # before DDS starts its threads, which inherit it
    rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = make_node()
    except _REFUSED as error:
        _say_and_exit(error)
    node.get_logger().debug(f"scheduling: {realtime}")
    for number in _SIGNALS:
        signal.signal(number, lambda *_: node.stop.set())
    executor = MultiThreadedExecutor(num_threads=threads)
    executor.add_node(node)
    is_over = threading.Event()
    spinning = threading.Thread(target=_spin, args=(executor, node, is_over), name="executor", daemon=True)
    spinning.start()
    try:
        if node.value("autostart") and not node.stop.is_set() and not node.begin():
            node.end(COULD_NOT_RUN)
        node.stop.wait()
    finally:
        node.damp()
        for number in _SIGNALS:  # a second Ctrl-C must not kill what is ending in good order
            signal.signal(number, signal.SIG_IGN)
        is_over.set()
        spinning.join(timeout=_END_S)
        executor.shutdown(timeout_sec=_END_S)
        node.close()
        node.destroy_node()
        rclpy.try_shutdown()
    sys.exit(node.exit_code)


def run_plain(make_node: Callable[[], Node]) -> None:
    """The main function of a node without a lifecycle. Parameters that make no sense are one line and exit code 2."""
    rclpy.init(args=sys.argv)
    try:
        rclpy.spin(make_node())
    except _REFUSED as error:
        _say_and_exit(error)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


def _say_and_exit(error: Exception) -> NoReturn:
    sys.stderr.write(f"error: {error}\n")
    rclpy.try_shutdown()
    sys.exit(COULD_NOT_RUN)


def _spin(executor: MultiThreadedExecutor, node: OperatedNode, is_over: threading.Event) -> None:
    """In turns, so that the executor is never shut down, nor Python ended, while this thread waits in rcl.

    An exception of a callback ends the node: executors drop it with their thread, and the node would be deaf.
    """
    while not is_over.is_set():
        try:
            executor.spin_once(timeout_sec=_TURN_S)
        except Exception:
            node.get_logger().fatal(f"a callback has failed:\n{traceback.format_exc()}")
            node.end(FAILED)
            return
