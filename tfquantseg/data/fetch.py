"""Fetches a file from the web: the whole file, with the right checksum, or nothing.

A connection that breaks is taken up again where it broke, where the server can do that and the file
is still the same one there; else the file is fetched from its beginning.
"""

from __future__ import annotations

import hashlib
import http
import http.client
import pathlib
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

_CHUNK = 2**20  # bytes read at a time
_TIMEOUT = 60.0  # seconds without a byte, after which the connection counts as broken
# What a broken connection raises; other errors of the system are of the disk.
_BREAKS = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
)


class _Transfer(NamedTuple):
    """What is known of a file while it is fetched.

    Attributes:
        done: Bytes written.
        total: Bytes of the whole file; None where the server does not say.
        version: The server's mark of this version of the file; None where it gives none.
    """

    done: int
    total: int | None
    version: str | None


def fetch(
    url: str,
    to: pathlib.Path,
    algorithm: str,
    checksum: str,
    tell: Callable[[int, int | None], None],
    *,
    warn: Callable[[str], None] = lambda problem: None,
    tries: int = 5,
    wait: float = 2.0,
) -> int:
    """Fetches a file.

    Args:
        url: Of http or https, or of a local file.
        to: Where to write; must not exist. It is removed again if anything goes wrong.
        algorithm: Of the checksum, a name that `hashlib` knows.
        checksum: Hexadecimal, of the whole file.
        tell: Called with the number of bytes written, and of the whole file if the server says.
        warn: Called with what went wrong, before each further try.
        tries: How often in a row a connection may end without a byte before this gives up.
        wait: Seconds to wait before another connection.

    Returns:
        Its number of bytes.

    Raises:
        ConnectionError: The server cannot be reached, refuses the file, or breaks off again and
            again.
        ValueError: The checksum of what was fetched is another.
        OSError: `to` cannot be written.
    """
    transfer = _Transfer(0, None, None)
    failures = 0
    with to.open("xb+") as file:
        try:
            while True:
                before = transfer.done
                transfer, problem = _continue(url, file, transfer, tell)
                if problem is None:
                    break
                if transfer.done > before:
                    failures = 0
                    warn(f"{problem} after {transfer.done:,} bytes; going on from there")
                    continue
                failures += 1
                if failures >= tries:
                    raise ConnectionError(
                        f"{url} could not be fetched: {problem}, {tries} times in a row, after "
                        f"{transfer.done:,} of {_number(transfer.total)} bytes. Nothing is kept; "
                        "try again later, or give a mirror as --url."
                    )
                warn(f"{problem}; trying again in {wait:g} s ({failures + 1} of {tries})")
                time.sleep(wait)
            found = _checksum(file, algorithm)
            if found != checksum.lower():
                raise ValueError(
                    f"{url} has the {algorithm} checksum {found}, expected is {checksum} "
                    f"({transfer.done:,} bytes). It is another file, or was damaged on the way; "
                    "nothing is kept. Try again, or give a mirror as --url."
                )
        except BaseException:
            to.unlink()
            raise
    return transfer.done


def _continue(
    url: str, file: BinaryIO, transfer: _Transfer, tell: Callable[[int, int | None], None]
) -> tuple[_Transfer, str | None]:
    """Fetches what is missing, until the end or a break.

    Returns:
        How far it came, and what broke it off, None if nothing is missing.

    Raises:
        ConnectionError: The server has no such file, or does not give it.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "tfquantseg"})
    if transfer.done and transfer.version:
        request.add_header("Range", f"bytes={transfer.done}-")
        request.add_header("If-Range", transfer.version)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
            transfer = _started(response, file, transfer)
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                transfer = transfer._replace(done=transfer.done + len(chunk))
                tell(transfer.done, transfer.total)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and transfer.done:
            return transfer._replace(version=None), "the server has no more of the file"
        if error.code < 500:
            raise ConnectionError(
                f"{url} is not to be had: the server answers {error.code} {error.reason}. Give a "
                "mirror as --url."
            ) from error
        return transfer, f"the server answers {error.code} {error.reason}"
    except _BREAKS as error:
        return transfer, str(getattr(error, "reason", error)) or type(error).__name__
    if transfer.total is not None and transfer.done != transfer.total:
        return transfer, "the connection ended early"
    return transfer, None


def _started(response: http.client.HTTPResponse, file: BinaryIO, transfer: _Transfer) -> _Transfer:
    """What is known once the server has answered; the file is emptied if it begins anew."""
    length = response.headers.get("Content-Length", "")
    if response.headers.get("Content-Range", "").startswith(f"bytes {transfer.done}-"):
        return transfer
    file.seek(0)
    file.truncate()
    # A weak mark does not promise the same bytes.
    marks = [response.headers.get(name) for name in ("ETag", "Last-Modified")]
    version = next((mark for mark in marks if mark and not mark.startswith("W/")), None)
    return _Transfer(0, int(length) if length.isdecimal() else None, version)


def _checksum(file: BinaryIO, algorithm: str) -> str:
    file.seek(0)
    digest = hashlib.new(algorithm, usedforsecurity=False)
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _number(total: int | None) -> str:
    return "an unknown number of" if total is None else f"{total:,}"
