"""The HTTP proxy that the environment sets for requests to a server."""

from __future__ import annotations

import ipaddress
import urllib.request
from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    """Whether an address is this machine, which a proxy cannot reach.

    >>> is_loopback("http://localhost:8000/v1"), is_loopback("http://gpu-box:8000/v1")
    (True, False)
    """
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def proxy_for(url: str) -> str | None:
    """The proxy for requests to an address, and the environment variable that sets it.

    Returns:
        Host and port, without user and password; ``None`` for a direct connection.
    """
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme)
    bypassed = urllib.request.proxy_bypass(parts.hostname or "")
    if not proxy or bypassed or is_loopback(url):
        return None
    place = proxy.rpartition("@")[2].rpartition("//")[2].rstrip("/")
    return f"{place} of {parts.scheme.upper()}_PROXY"
