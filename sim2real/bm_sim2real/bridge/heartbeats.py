"""Whose operator a heartbeat speaks of: one word of shared memory says who has sent it.

A lease is a number of 63 bits. Its lowest bit says whether its client's operator may speak through others; the upper 47
name the client in its heartbeats, whose lower 16 bits count.
"""

from __future__ import annotations

import secrets

_COUNT_BITS = 16
_RELAYED = 1
"""Of a lease."""


def new_lease(*, is_operator_relayed: bool) -> int:
    """Never 0, and of no other client."""
    client = secrets.randbits(47) | 1
    return client << _COUNT_BITS | secrets.randbits(_COUNT_BITS - 1) << 1 | (_RELAYED if is_operator_relayed else 0)


def next_beat(last: int, lease: int) -> int:
    """What the holder of `lease`, or with 0 anybody else, puts in the place of the beat that stands there."""
    count = (last + 1) & ((1 << _COUNT_BITS) - 1)
    return lease >> _COUNT_BITS << _COUNT_BITS | count


def counts_for(beat: int, lease: int) -> bool:
    """Whether a beat keeps the holder of `lease` going; each does as long as nobody (0) is armed."""
    return not lease or bool(lease & _RELAYED) or beat >> _COUNT_BITS == lease >> _COUNT_BITS
