"""What tests that start processes ask of them."""

import time


def is_alive(pid):
    """A process that has ended and that nobody has waited for is not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(condition, what, patience_s=180.0):
    """Wait for it, at most that many s."""
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.01)
