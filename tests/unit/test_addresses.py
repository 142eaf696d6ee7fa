"""Whose request it is, with and without proxies."""

import pytest

from app.domain.addresses import client_address, networks
from app.settings import Settings

TRUSTED = networks("10.0.0.0/8, 192.0.2.7")


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.5", "", "203.0.113.5"),
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1, 10.2.0.1", "198.51.100.1"),
        ("192.0.2.7", "198.51.100.1, nonsense", "192.0.2.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.9", "10.0.0.9"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("2001:db8:1:2:3::4", "", "2001:db8:1:2::/64"),
        ("", "198.51.100.1", ""),
    ],
)
def test_a_client_is_known_by_the_last_address_that_no_proxy_of_ours_has(
    peer: str, forwarded: str, client: str
) -> None:
    assert client_address(peer, forwarded, TRUSTED) == client


def test_nobody_is_believed_where_no_proxy_is_trusted() -> None:
    assert client_address("10.0.0.1", "198.51.100.1", ()) == "10.0.0.1"


def test_a_trusted_proxy_that_is_no_address_is_refused_at_the_start() -> None:
    assert len(Settings(limits={"trusted_proxies": "10.0.0.0/8,::1"}).limits.proxies) == 2
    with pytest.raises(ValueError, match="trusted_proxies"):
        Settings(limits={"trusted_proxies": "10.0.0.1/8"})
