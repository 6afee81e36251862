"""The proxy that the environment sets between this machine and a server."""

from __future__ import annotations

import ipaddress
import urllib.request
from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    """Whether an address is this machine, which no proxy can reach.

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
    """The proxy that requests to an address go through, and the variable that sets it.

    Returns:
        Host and port, without user and password; ``None`` where requests go straight to it.
    """
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    found = proxies.get(parts.scheme)
    bypassed = urllib.request.proxy_bypass(parts.hostname or "")
    if not found or bypassed or is_loopback(url):
        return None
    place = found.rpartition("@")[2].rpartition("//")[2].rstrip("/")
    return f"{place} of {parts.scheme.upper()}_PROXY"
