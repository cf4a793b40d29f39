"""What the machine says of itself."""

from __future__ import annotations

import ipaddress

import pytest

from kpwatch.base.errors import ConfigError
from kpwatch.config.host import address_provider, serial_number


def test_hostip_wins() -> None:
    """Kubernetes knows the node's address better than a route does."""
    assert address_provider({"HOSTIP": "10.1.2.3"}, (("hub.invalid", 80),))() == "10.1.2.3"


def test_the_route_to_a_writer_is_asked() -> None:
    """127.0.0.2 is reached from a loopback address; nothing is sent."""
    address = address_provider({}, (("localhost", 80), ("127.0.0.2", 19000)))()
    assert ipaddress.ip_address(address).is_loopback


def test_without_a_route_the_error_names_hostip() -> None:
    """The next step for whoever reads it."""
    with pytest.raises(ConfigError, match="set HOSTIP"):
        address_provider({}, (("name.that.is.invalid", 80),))()


def test_a_serial_number_is_text_or_nothing() -> None:
    """Machines that tell none are fine."""
    assert isinstance(serial_number(), str)
