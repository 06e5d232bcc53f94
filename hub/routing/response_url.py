"""Where a request carries its response_url, and how it is replaced without changing anything else (P-22, M-28). Pure."""

import re
from collections.abc import Collection
from dataclasses import replace
from urllib.parse import quote, unquote_plus, urlsplit

from hub.delivery.send import RoutedMessage
from ocpi_modules import json
from ocpi_modules.message import OcpiRequest
from ocpi_modules.spec import Place
from ocpi_modules.status import InvalidParameters

MAXIMUM_LENGTH = 255
_SENDABLE = re.compile(r"[\x21-\x7e]+")
_IN_QUERY = re.compile(r"(?:(?<=^)|(?<=&))response_url=(https?://.*|[^&]*)", re.IGNORECASE | re.DOTALL)


def find(request: OcpiRequest) -> str:
    """The asker's URL. Raises InvalidParameters (2001) when it is missing or no URL of at most 255 characters (Y-15)."""
    url = _in_body(request) if request.endpoint.response_url is Place.BODY else _in_query(request.query)
    if not isinstance(url, str) or not url:
        raise InvalidParameters("`response_url` is missing; the result of this request has nowhere to go.")
    if len(url) > MAXIMUM_LENGTH:
        raise InvalidParameters(f"`response_url` is longer than {MAXIMUM_LENGTH} characters.")
    if not _SENDABLE.fullmatch(url):
        raise InvalidParameters(
            "`response_url` holds blanks, line breaks or letters outside ASCII; percent-encode them."
        )
    return url


def check_host(url: str, known: Collection[str]) -> None:
    """The URL must lead to the asker's own platform: the hub never calls a third host for anybody (M-30, S-26, S-27).

    `known` are URLs the platform registered. Raises InvalidParameters.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidParameters("`response_url` is not a URL.") from None
    registered = [urlsplit(other) for other in known]
    hosts = {other.hostname for other in registered}
    schemes = {other.scheme for other in registered}
    if parts.scheme not in schemes or parts.hostname not in hosts or parts.username is not None or port == 0:
        shown = ", ".join(sorted(host for host in hosts if host))
        raise InvalidParameters(f"`response_url` must lead to the host this platform registered ({shown}).")


def replaced(message: RoutedMessage, place: Place, url: str) -> RoutedMessage:
    """The message with `url` in place of the asker's; every other byte of the query and every other value as it was."""
    if place is Place.BODY:
        return replace(message, body=json.splice(message.body, "response_url", json.encode(url)))
    encoded = f"response_url={quote(url, safe='')}"
    return replace(message, query=_IN_QUERY.sub(lambda match: encoded, message.query, count=1))


def _in_body(request: OcpiRequest) -> object:
    body = request.document
    return body.get("response_url") if isinstance(body, dict) else None


def _in_query(query: str) -> str | None:
    """An URL that was not percent-encoded takes everything after `response_url=`, as the specification's sample shows."""
    match = _IN_QUERY.search(query)
    if match is None:
        return None
    return match[1] if re.match(r"https?://", match[1], re.IGNORECASE) else unquote_plus(match[1])
