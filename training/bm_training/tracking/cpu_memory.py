"""Lets OvPhysX run on a machine without a CUDA driver (continuous integration, laptops).

Symptom (isaaclab 3.0.0, warp 1.17.0): `Failed to allocate 16 bytes on device 'cpu'`. Isaac Lab's OvPhysX backend asks
warp for page-locked memory, which only a CUDA driver can give. Dropping the `pinned` argument is right exactly where
there is no GPU to copy to; with one this module does nothing. May go when the backend asks for pinned memory on CUDA
only.
"""

from __future__ import annotations

import functools
from typing import Any

_ALLOCATORS = ("zeros", "empty", "full", "ones", "clone", "zeros_like", "empty_like", "full_like", "ones_like", "array")


def drop_pinned_memory_without_cuda() -> bool:
    """Make warp's allocators ignore `pinned` if there is no CUDA device; returns whether that was needed."""
    import warp as wp

    wp.init()
    if wp.get_cuda_device_count() > 0:
        return False
    for name in _ALLOCATORS:
        allocator = getattr(wp, name)
        if not isinstance(allocator, type) and not hasattr(allocator, "__wrapped__"):
            setattr(wp, name, _without_pinned(allocator))
    return True


def _without_pinned(allocator: Any) -> Any:
    @functools.wraps(allocator)
    def allocate(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop("pinned", None)
        return allocator(*args, **kwargs)

    return allocate
