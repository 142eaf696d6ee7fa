"""How many requests of a kind a worker works on at once."""

from aiohttp import web
from aiohttp.typedefs import Handler

from app.web.answers import refuse


class Room:
    """Room for `most` requests at once; whoever comes then has 503 at once, and not a queue that times out."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._inside = 0
        self.refused = 0

    def bounded(self, view: Handler) -> Handler:
        """The view, for as many as there is room for; not for guests who have gone meanwhile."""

        async def bounded_view(request: web.Request) -> web.StreamResponse:
            if request.transport is None:
                raise ConnectionResetError("the guest has gone")
            if self._inside >= self._most:
                self.refused += 1
                return refuse(503)
            self._inside += 1
            try:
                return await view(request)
            finally:
                self._inside -= 1

        return bounded_view
