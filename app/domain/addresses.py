"""From where a request comes, also where proxies stand in between."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

_HOUSE = 64  # bits of an IPv6 address: a house has all addresses below these


def networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks like `10.0.0.0/8`, with commas between; ValueError where one is none."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def client_address(peer: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """The address of the client at the other end of `peer`'s connection; of IPv6 the network of its house.

    Where trusted proxies sent the request on, it is the last address in `forwarded` (X-Forwarded-For) that is none of
    theirs: what stands before it, anybody can have written.
    """
    address = _address(peer)
    for hop in reversed(forwarded.split(",")):
        if address is None or not _is_in(address, trusted):
            break
        before = _address(hop.strip())
        if before is None:
            break
        address = before
    if address is None:
        return peer
    return str(ip_network((address, _HOUSE), strict=False)) if isinstance(address, IPv6Address) else str(address)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _is_in(address: IPv4Address | IPv6Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)
