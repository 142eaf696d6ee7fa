"""Round every view: a request id, and the contract's answer for whatever a view did not answer itself."""

import itertools
import re
import secrets

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from multidict import istr

from app.ports import UnavailableError
from app.web.answers import ERRORS, refuse

REQUEST_ID = istr("X-Request-Id")
REQUEST_KEY = web.RequestKey("request_id", str)  # under which a view finds its request's id

_log = structlog.get_logger(__name__)
_given = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_process = secrets.token_hex(4)
_numbers = itertools.count(1)


@web.middleware
async def contract(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer as the contract says, and name the request; the client's own id is kept where it is a plain one."""
    request_id = request_id_of(request)
    request[REQUEST_KEY] = request_id
    response: web.StreamResponse
    try:
        response = await handler(request)
    except web.HTTPException as error:
        if error.status < web.HTTPBadRequest.status_code:
            raise
        response = _of_aiohttp(request, error)
    except UnavailableError:
        response = refuse(503)
    except ConnectionResetError:
        if request.transport is None:
            raise  # the client hung up: nobody is there to be answered
        response = fault(request.method, request.path, request_id)
    except Exception:  # noqa: BLE001 - the last line of defence: logged, nothing shown
        response = fault(request.method, request.path, request_id)
    response.headers[REQUEST_ID] = request_id
    return response


def request_id_of(request: web.BaseRequest) -> str:
    """The client's own id where it is a plain one, else a new one."""
    given = request.headers.get(REQUEST_ID)
    return given if given and _given.fullmatch(given) else new_request_id()


def new_request_id() -> str:
    """An id for a request that brings none of its own."""
    return f"{_process}-{next(_numbers):x}"


def fault(method: str, path: str, request_id: str) -> web.Response:
    """The answer to a request that failed by a fault of ours, which is under way and is logged here."""
    _log.exception("request failed", request_id=request_id, method=method, path=path[:200])
    return refuse(500)


def _of_aiohttp(request: web.Request, error: web.HTTPException) -> web.Response:
    if isinstance(error, web.HTTPMethodNotAllowed):
        methods = ",".join(sorted(error.allowed_methods | {hdrs.METH_OPTIONS}))
        response = web.Response(status=204) if request.method == hdrs.METH_OPTIONS else refuse(405)
        response.headers[hdrs.ALLOW] = methods
        return response
    if error.status == web.HTTPBadRequest.status_code:
        response = refuse(400, error.text or "")
        response.force_close()  # the body was not read to its end
        return response
    return refuse(error.status, error=ERRORS.get(error.status, error.reason))


async def expect_within(request: web.Request, limit: int) -> web.Response | None:
    """Answer `Expect: 100-continue`: a body that is too large is refused before it is sent."""
    if request.content_length is not None and request.content_length > limit:
        return refuse(413)
    if request.headers.get(hdrs.EXPECT, "").lower() != "100-continue":
        return refuse(417, error="Expectation failed")
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # as aiohttp's own handler does: the answer proper has not begun
    return None
