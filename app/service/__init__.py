"""Composition root: settings -> adapters -> the Faust app of one service.

Nothing connects at import. `faust -A app.service:orders worker` builds the first worker of a service on demand.
"""

import importlib
import os
from typing import Any

SERVICES = ("orders", "ledger", "kitchen")


def build(service: str, index: int) -> Any:
    """The Faust app of the `index`-th worker (from 1) of a service, from the settings."""
    os.environ.setdefault("FAUST_LOOP", "uvloop")  # read when faust is imported
    from app import settings

    return importlib.import_module(f"app.service.{service}_worker").build(settings.load(), index)


_apps: dict[str, Any] = {}


def __getattr__(name: str) -> Any:
    if name not in SERVICES:
        raise AttributeError(name)
    if name not in _apps:
        _apps[name] = build(name, int(os.environ.get("BISTRO92_WORKER_INDEX", "1")))
    return _apps[name]
