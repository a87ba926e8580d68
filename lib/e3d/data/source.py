"""What is published about a file on the web."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A file on the web: its address, its size in bytes and the MD5 of its content."""

    url: str
    size: int
    md5: str
