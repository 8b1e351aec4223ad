"""`python lowcmd_frames.py`: whether frames on the simulated robot's command topic go on and damp. No rclpy in here."""

import json
import sys
import time

from bm_sim2real.robots.unitree.dds import LOW_COMMAND_TOPIC, DdsLink
from bm_sim2real.robots.unitree.low_command import read_low_command
from bm_sim2real.robots.unitree.sdk import load_sdk

COUNT = 50
PATIENCE_S = 150.0


def main() -> None:
    link = DdsLink("lo")
    reader = link.reader(LOW_COMMAND_TOPIC, load_sdk().LowCmd, depth=COUNT)
    frames: list[bytes] = []
    end = time.monotonic() + PATIENCE_S
    while len(frames) < COUNT and time.monotonic() < end:
        frames.extend(reader.take())
        time.sleep(0.01)
    messages = [read_low_command(frame) for frame in frames]
    stiff = sum(message is None or bool(message.values[:, 3].any()) for message in messages)
    link.close()
    json.dump({"frames": len(frames), "stiff": stiff}, sys.stdout)


if __name__ == "__main__":
    main()
