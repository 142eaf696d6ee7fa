"""Ports that are taken, and by whom."""

import errno
import socket
from collections.abc import Iterable

import psutil

from app.stack.part import Address


def taken(address: Address) -> bool:
    """Whether somebody listens there.

    Raises:
        OSError: the address is not one of this machine's.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
            raise
    return False


def holder(address: Address) -> str:
    """Who listens there: `pid 123 (command)`, as far as this user may know."""
    host, port = address
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        connections = []
    for connection in connections:
        local = connection.laddr
        if connection.status != psutil.CONN_LISTEN or not local or local.port != port:
            continue
        if connection.pid and local.ip in (host, "0.0.0.0", "::", f"::ffff:{host}"):  # noqa: S104 - read, not bound
            try:
                command = " ".join(psutil.Process(connection.pid).cmdline())
            except psutil.Error:
                command = "ended since"
            return f"pid {connection.pid} ({command[:120]})"
    return "a process of another user"


def conflicts(wanted: Iterable[tuple[str, Address]]) -> list[str]:
    """One line for each port that somebody else holds; `wanted` pairs a part's name with an address it needs."""
    lines = []
    for name, address in wanted:
        host, port = address
        try:
            if taken(address):
                lines.append(f"port {port} on {host}, which {name} needs, is taken by {holder(address)}")
        except OSError as error:
            lines.append(f"{name} cannot listen on {host}:{port}: {error.strerror}")
    return lines
