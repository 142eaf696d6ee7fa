"""Whether this worker lives, and whether it can take orders."""

from collections.abc import Mapping

from aiohttp import web

from app.web.answers import answer_json, refuse
from app.web.services import Conditions


def readiness(reason: str | None, checks: Mapping[str, str]) -> web.Response:
    """Whether a worker is ready, None for `reason`, and how each of its conditions is."""
    if reason is None:
        return answer_json({"status": "ready", "checks": checks})
    return refuse(503, reason, checks=checks)


class HealthChecks:
    """For load balancers and supervisors: both answer without asking anything else."""

    def __init__(self, services: Conditions) -> None:
        self._ready = services.ready
        self._checks = services.checks

    async def ready(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp's signature
        """Whether orders can be taken here, and if not, why."""
        return readiness(self._ready(), self._checks())

    async def live(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp's signature
        """That the event loop turns."""
        return answer_json({"status": "alive"})
