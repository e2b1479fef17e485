"""What can go wrong outside the course: the words of pip and uv that show it, and the two lines that we say then."""

import re
from collections.abc import Sequence
from typing import NamedTuple


class SetupError(Exception):
    """What is wrong, and one next step."""


class Cause(NamedTuple):
    signs: str
    problem: str
    remedy: str


DISK = Cause(
    "No space left on device|not enough space on the disk|Disk quota exceeded",
    "The disk is full.",
    "Free some space and run the same command again.",
)
CERTIFICATE = Cause(
    "CERTIFICATE_VERIFY_FAILED|certificate verify failed|invalid peer certificate|TLS CA certificate bundle",
    "The package source shows a certificate that this machine does not trust.",
    "Where a company or school filters the network, set PIP_CERT=FILE, the certificate that its IT gives out.",
)
PROXY = Cause(
    "ProxyError|Cannot connect to proxy|tunnel error|Tunnel connection failed|Proxy Authentication Required",
    "The proxy does not let the installer through.",
    "Set HTTPS_PROXY to the proxy of your network, with name and password if it asks for them, or unset it.",
)
NETWORK = Cause(
    "Failed to establish a new connection|name resolution|Name or service not known|getaddrinfo failed|"
    "nodename nor servname|Network is unreachable|ConnectTimeoutError|Read timed out|Connection refused|"
    "dns error|tcp connect error|error sending request|operation timed out",
    "The package source cannot be reached: there seems to be no network.",
    "Connect and run the same command again; behind a proxy, set HTTPS_PROXY. "
    "With wheels in a folder, set PIP_NO_INDEX=1 and PIP_FIND_LINKS=FOLDER.",
)
UNREADABLE = Cause(
    "failed to read from file",
    "A folder that pip is configured with, as an index or for wheels, cannot be read.",
    "Ask for permission to read it, or take it out of pip's configuration (`pip config list` shows it).",
)
NO_MATCH = Cause(
    "No matching distribution found|ResolutionImpossible|No solution found when resolving",
    "No source has a fitting version of a package that the course needs.",
    "The lines above name it; the sources that pip is configured with must offer it.",
)
# The order matters: pip ends with "No matching distribution" after each of the others, and a proxy's failure is
# one of the network to it.
CAUSES = (DISK, CERTIFICATE, PROXY, NETWORK, UNREADABLE, NO_MATCH)


def find(lines: Sequence[str]) -> Cause | None:
    """The cause that an installer's output shows, if it is a known one."""
    said = "\n".join(lines)
    return next((cause for cause in CAUSES if re.search(cause.signs, said, re.IGNORECASE)), None)
