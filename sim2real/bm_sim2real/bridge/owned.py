"""The bridge of one `bm run`: `python -m bm_sim2real.bridge.owned CONFIG PARENT`. Damps and ends with its parent.

Its standard output is a pipe to the parent, for the one line that says why it could not run; all else goes to stderr.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys

from bm_core.errors import BmError
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.bridge.guardian import Guardian

COULD_NOT_RUN = 2
_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """As the guardian's. `arguments`: the config as JSON, the parent's process number."""
    answer = _take_stdout()
    if not _ends_with(int(arguments[1])):
        return COULD_NOT_RUN
    try:
        return Guardian(BridgeConfig.from_json(arguments[0])).run()
    except BmError as error:
        with contextlib.suppress(OSError):  # nobody is left to hear it
            os.write(answer, str(error).encode())
        return COULD_NOT_RUN


def _take_stdout() -> int:
    """The pipe, which the writer process does not inherit: its end says that the guardian is gone."""
    answer = os.dup(1)  # not inheritable
    os.dup2(2, 1)
    return answer


def _ends_with(parent: int) -> bool:
    """From now on the parent's death, however sudden, is a SIGTERM. False if it is dead already.

    Asked for here, not between fork and exec: there it would be lost with a Python that has capabilities of its own.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    return os.getppid() == parent


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
