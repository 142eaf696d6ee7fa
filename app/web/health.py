"""Whether this worker lives, and whether it can take orders."""

from aiohttp import web

from app.web.answers import answer_json, refuse
from app.web.services import Services


class HealthChecks:
    """For load balancers and supervisors: both answer without asking anything else."""

    def __init__(self, services: Services) -> None:
        self._ready = services.ready

    async def ready(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp's signature
        """Whether orders can be taken here, and if not, why."""
        reason = self._ready()
        return answer_json({"status": "ready"}) if reason is None else refuse(503, reason)

    async def live(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp's signature
        """That the event loop turns."""
        return answer_json({"status": "alive"})
