"""`bm run --mirror`: the robot as its own sensors see it, in a browser. Only listens: nothing is ever sent to it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import RobotError
from bm_core.g1 import G1
from bm_core.kinematics import g1_kinematics
from bm_core.state import RobotState
from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.estimator.legs import Legs
from bm_sim2real.process_signals import until_signal
from bm_sim2real.robots.unitree.robot import UnitreeRobot
from bm_sim2real.viewer_meshes import robot_meshes
from bm_sim2real.viewer_scene import Scene

Array = NDArray[np.float64]

PICTURE_S = 0.05
PANEL_EVERY = 5


class BridgeSource:
    """Readings of a bridge that is running; somebody else may command through it."""

    def __init__(self, client: BridgeClient) -> None:
        self._client = client
        self.name = f"bridge, processes {client.pids[0]} and {client.pids[1]}"

    def read(self) -> RobotState:
        """The newest."""
        return self._client.read()

    def facts(self) -> dict[str, Any]:
        """For the panel."""
        status = self._client.status()
        shown = ("mode", "is_armed", "is_operator_there", "holds")
        shown += ("hottest_motor_c", "hottest_joint", "battery_percent", "torso_imu_error")
        fault = self._client.fault
        return {**{name: status.get(name) for name in shown}, "fault": "none" if fault is None else str(fault)}

    def close(self) -> None:
        """The bridge goes on."""


class ListeningSource:
    """Readings straight from the robot, where there is no bridge: a participant without a writer of commands."""

    def __init__(self, config: BridgeConfig) -> None:
        """RobotError if the robot is silent."""
        self._robot = UnitreeRobot(config.robot)
        self._robot.connect(listens_only=True)
        self.name = f"{config.interface}, listening"

    def read(self) -> RobotState:
        """The newest."""
        return self._robot.read()

    def facts(self) -> dict[str, Any]:
        """For the panel."""
        reading = self._robot.low_state
        hottest = int(reading.motor_temperature.argmax())
        return {
            "mode_machine": reading.mode_machine,
            "hottest_motor_c": float(reading.motor_temperature[hottest]),
            "hottest_joint": G1.joint_names[hottest],
            "battery_percent": self._robot.charge,
            "motor errors": int(np.count_nonzero(reading.motor_error)),
            "writers of commands": len(self._robot.publishers()),
            "corrupt readings": self._robot.counters.corrupt,
        }

    def close(self) -> None:
        """Leaves the network."""
        self._robot.close()


def mirror_source(config: BridgeConfig) -> BridgeSource | ListeningSource:
    """Of the running bridge if there is one, else of the robot. RobotError if neither answers."""
    try:
        return BridgeSource(BridgeClient(config.interface, ready_s=config.first_state_s))
    except RobotError:
        return ListeningSource(config)


def body_poses(state: RobotState) -> tuple[Array, Array]:
    """(30, 3) m and (30, 4): where the estimate says, else above the origin with the lowest sole on the floor."""
    pos = state.pelvis_pos_w
    if pos is None:
        from bm_core.rotations import matrix_from_quat

        legs = Legs()
        rot = np.asarray(matrix_from_quat(state.pelvis_quat_w), dtype=np.float64)
        soles = legs.motion(rot, state.joint_pos, state.joint_vel).sole_points[..., 2]
        pos = np.array([0.0, 0.0, legs.sole_radius - float(soles.min())])
    body_pos, body_quat = g1_kinematics().forward(pos, state.pelvis_quat_w, state.joint_pos)
    return np.asarray(body_pos, dtype=np.float64), np.asarray(body_quat, dtype=np.float64)


def panel_html(name: str, age_s: float, facts: dict[str, Any]) -> str:
    """What the panel shows."""
    rows = {"source": name, "last new reading": f"{1e3 * age_s:.0f} ms ago", **facts}
    cells = "".join(f"<tr><td>{escape(str(k))}</td><td><b>{escape(_shown(v))}</b></td></tr>" for k, v in rows.items())
    return f"<table>{cells}</table>"


def show_mirror(
    config: BridgeConfig,
    say: Callable[[str], object],
    *,
    port: int = 8080,
    is_over: Callable[[], bool] = lambda: False,
) -> None:
    """Serves the picture until Ctrl-C. RobotError if the robot is silent at the start."""
    import viser

    source = mirror_source(config)
    logging.getLogger("websockets").setLevel(logging.WARNING)
    server = viser.ViserServer(host="127.0.0.1", port=port, label="G1 mirror", verbose=False)
    scene = Scene(server, robot_meshes())
    scene.reference.show(False)
    panel = server.gui.add_html("")
    say(f"mirror of {source.name}: http://{server.get_host()}:{server.get_port()}   nothing is sent, Ctrl-C ends it")
    try:
        with until_signal(lambda: say("closed")):
            _follow(source, scene, panel, is_over)
    finally:
        source.close()
        server.stop()


def _follow(source: BridgeSource | ListeningSource, scene: Scene, panel: Any, is_over: Callable[[], bool]) -> None:
    seq, seen_at, pictures = -1, time.monotonic(), 0
    while not is_over():
        state = source.read()
        if state.seq != seq:
            seq, seen_at = state.seq, time.monotonic()
        scene.robot.place(*body_poses(state))
        scene.follow(state.pelvis_pos_w)
        if pictures % PANEL_EVERY == 0:
            panel.content = panel_html(source.name, time.monotonic() - seen_at, source.facts())
        pictures += 1
        time.sleep(PICTURE_S)


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
