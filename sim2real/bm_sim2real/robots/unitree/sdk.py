"""Unitree's Python SDK, whichever of its two forms is installed. Only its message types are used.

The wheel `unitree_sdk2` on PyPI cannot be imported as it is: its __init__ asks for a sub-package b2 that it lacks. It
also pins a cyclonedds without wheels for Python 3.11 and later; its types work with 11.0.1. The vendor's own
repository installs `unitree_sdk2py` whole.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from types import ModuleType
from typing import Any

from bm_core.errors import RobotError

_PACKAGE = "unitree_sdk2py"


@dataclass(frozen=True, kw_only=True)
class Sdk:
    """Message types of the installed SDK."""

    found: str
    """Which distribution, such as `unitree_sdk2 1.0.1 (PyPI wheel), cyclonedds 11.0.1`."""
    LowCmd: Any
    LowState: Any
    ImuState: Any
    BmsState: Any
    Request: Any
    RequestHeader: Any
    RequestIdentity: Any
    RequestLease: Any
    RequestPolicy: Any
    Response: Any
    ResponseHeader: Any
    ResponseStatus: Any


@lru_cache(maxsize=1)
def load_sdk() -> Sdk:
    """Imports the message types. RobotError if cyclonedds or the SDK is missing or does not load."""
    remedy = "remedy: make install, or pip install cyclonedds==11.0.1 and pip install --no-deps unitree_sdk2==1.0.1"
    try:
        importlib.import_module("cyclonedds.domain")
        _import_package()
        hg = importlib.import_module(f"{_PACKAGE}.idl.unitree_hg.msg.dds_")
        api = importlib.import_module(f"{_PACKAGE}.idl.unitree_api.msg.dds_")
    except ImportError as error:
        raise RobotError(f"Unitree's SDK or cyclonedds cannot be imported ({error}); {remedy}") from error
    return Sdk(
        found=_which(),
        LowCmd=hg.LowCmd_,
        LowState=hg.LowState_,
        ImuState=hg.IMUState_,
        BmsState=hg.BmsState_,
        Request=api.Request_,
        RequestHeader=api.RequestHeader_,
        RequestIdentity=api.RequestIdentity_,
        RequestLease=api.RequestLease_,
        RequestPolicy=api.RequestPolicy_,
        Response=api.Response_,
        ResponseHeader=api.ResponseHeader_,
        ResponseStatus=api.ResponseStatus_,
    )


def _import_package() -> ModuleType:
    """The package without running its __init__, which would import what the wheel lacks and what nobody asked for."""
    if _PACKAGE in sys.modules:
        return sys.modules[_PACKAGE]
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None:
        raise ImportError(f"no package {_PACKAGE}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_PACKAGE] = module
    return module


def _which() -> str:
    cyclone = f"cyclonedds {metadata.version('cyclonedds')}"
    for name, kind in (("unitree_sdk2", "PyPI wheel"), (_PACKAGE, "vendor's repository")):
        try:
            return f"{name} {metadata.version(name)} ({kind}), {cyclone}"
        except metadata.PackageNotFoundError:
            continue
    return f"{_PACKAGE} (found on the path), {cyclone}"
