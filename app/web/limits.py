"""How views keep to the limits: who is let in, what is told of it, and what is given back."""

from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Any

from aiohttp import hdrs, web

from app.domain.addresses import client_address
from app.domain.windows import Quota, Standing, Verdict
from app.ports import Limiter, Sent
from app.web.answers import refuse, slow_down
from app.web.services import Door, Services

RATE_LIMIT, RATE_LIMIT_POLICY = "RateLimit", "RateLimit-Policy"  # draft-ietf-httpapi-ratelimit-headers


class Admission:
    """A request that was let in."""

    def __init__(self, limiter: Limiter, verdict: Verdict) -> None:
        self._limiter = limiter
        self._verdict = verdict

    def ended(self, outcome: str, response: web.Response) -> None:
        """Settle what the order costs, by its outcome, and tell the guest what is left.

        An order that was accepted before costs nothing, nor does one of guests who have left: others sit there now.
        """
        limiter, verdict, returned = self._limiter, self._verdict, 0
        if outcome in {"accepted", "replayed"}:
            limiter.accepted(verdict)
        if outcome in {"replayed", "session_closed"} and not verdict.is_known:
            limiter.give_back(verdict)
            returned = 1
        if (quota := verdict.quota) is not None and (standing := verdict.standing) is not None:
            is_tables = quota.name == "table"
            response.headers.update(_told(quota, standing.left + returned * is_tables, standing))

    def failed(self) -> None:
        """The request has no answer, and is sent again: it costs nothing."""
        self._limiter.give_back(self._verdict, also_source=True)


async def admit_order(services: Services, token: str, order: dict[str, Any], session: int) -> Admission | web.Response:
    """Let an order of this session's pad, whose token this is, in, or refuse it."""
    if not services.limiter.limits_writes:
        return Admission(services.limiter, Verdict())
    # Of what makes it the same order; of a body that was read, so that equal ones look alike.
    content = repr((order["order_id"], order["items"], order.get("note", "")))
    mark = blake2b(content.encode("utf-8", "surrogatepass"), digest_size=12).digest()
    verdict = await services.limiter.write(Sent(token, order["table_number"], session, mark))
    return refused(verdict) if verdict.limited else Admission(services.limiter, verdict)


async def limited_write(
    services: Services, request: web.Request, work: Callable[[], Awaitable[web.Response]]
) -> web.Response:
    """What `work` answers, where the sender is let in; who then gets no answer has spent nothing."""
    verdict = await services.limiter.write(Sent(_token(request)))
    if verdict.limited:
        return refused(verdict)
    try:
        return await work()
    except BaseException:
        services.limiter.give_back(verdict, also_source=True)
        raise


def limited_read(services: Door, request: web.Request) -> web.Response | None:
    """The refusal of a read by a token that holds; None where it may."""
    verdict = services.limiter.read(_token(request))
    return refused(verdict) if verdict.limited else None


def unauthorized(services: Door, request: web.Request) -> web.Response:
    """The refusal of who has no token that holds: 401, until the address is refused as such."""
    forwarded = ",".join(request.headers.getall(hdrs.X_FORWARDED_FOR, ()))
    address = client_address(request.remote or "", forwarded, services.settings.limits.proxies)
    verdict = services.limiter.stranger(address)
    return refused(verdict) if verdict.limited else refuse(401)


def refused(verdict: Verdict) -> web.Response:
    """429, with the whole seconds after which the same is let in."""
    response = slow_down(_seconds(verdict.wait))
    if verdict.quota is not None:
        response.headers.update(_told(verdict.quota, 0, Standing(0, verdict.wait)))
    return response


def _told(quota: Quota, left: int, standing: Standing) -> dict[str, str]:
    return {
        RATE_LIMIT_POLICY: f'"{quota.name}";q={quota.most};w={quota.span // 1000}',
        RATE_LIMIT: f'"{quota.name}";r={left};t={_seconds(standing.reset)}',
    }


def _seconds(milliseconds: int) -> int:
    """Rounded up: who waits so long has waited long enough."""
    return max(1, -(-milliseconds // 1000))


def _token(request: web.Request) -> str:
    """The token of a request whose holder is known."""
    return request.headers[hdrs.AUTHORIZATION][7:]
