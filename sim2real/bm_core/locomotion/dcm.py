"""CoM of a given ZMP: the linear inverted pendulum solved over the whole plan at once.

x - (z / (g + z'')) x'' = p is a tridiagonal system; its backward sweep carries the divergent component of motion
(DCM), the part that has to be known in advance, its forward sweep the CoM.
Source: Kajita et al. 2003; Englsberger et al. 2015.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import CONTROL_DT
from bm_core.locomotion.config import GRAVITY

Array = NDArray[np.floating]


def com_of_zmp(zmp: Array, height: Array, start: Array) -> Array:
    """CoM (T, 2) with the ZMP `zmp` (T, 2).

    `height` (T,) m is z g / (g + z''), the pendulum's height times gravity over effective gravity; `start` (2,) the CoM
    of frame 0. The last frame's CoM stands over its ZMP.
    """
    gain = (height / (GRAVITY * CONTROL_DT**2)).tolist()
    px, py = zmp[:, 0].tolist(), zmp[:, 1].tolist()
    num = len(gain)
    share = [0.0] * num
    x, y = px[:], py[:]
    # Backward: x_i = x[i] + share[i] x_{i-1}.
    for i in range(num - 2, 0, -1):
        a = gain[i]
        pivot = 1.0 + 2.0 * a - a * share[i + 1]
        share[i] = a / pivot
        x[i] = (px[i] + a * x[i + 1]) / pivot
        y[i] = (py[i] + a * y[i + 1]) / pivot
    x[0], y[0] = float(start[0]), float(start[1])
    for i in range(1, num):
        x[i] += share[i] * x[i - 1]
        y[i] += share[i] * y[i - 1]
    return np.stack([x, y], axis=-1)
