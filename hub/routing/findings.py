"""What is odd about a message and keeps nobody from sending it, except where somebody is strict (contracts section 4). Pure."""

from hub.parties.platforms import Platform
from ocpi_modules import validation
from ocpi_modules.message import OcpiRequest
from ocpi_modules.status import InvalidParameters

MOST_NAMED = 20


def findings_of(request: OcpiRequest, *concerned: Platform) -> tuple[str, ...]:
    """What is odd about query and body, as sentences.

    Raises InvalidParameters for a command nobody knows, and for anything odd where one of the `concerned` is strict.
    """
    found = _in_body(request)
    if request.endpoint.required_query:
        found = _in_query(request) + found
    if found and any(platform.switches.strict for platform in concerned):
        raise InvalidParameters(" ".join(found[:MOST_NAMED]))
    return tuple(found)


def _in_query(request: OcpiRequest) -> list[str]:
    required = request.endpoint.required_query
    return [f"`{name}` is required in the query." for name in required if not request.params.get(name)]


def _in_body(request: OcpiRequest) -> list[str]:
    expected = request.endpoint.body
    if not request.body or expected is None:
        return []
    command = request.variables.get("command", "")
    if request.endpoint.bodies and command not in request.endpoint.bodies:
        raise InvalidParameters(f"{command} is no command; known are {', '.join(request.endpoint.bodies)}.")
    found = validation.findings(request.endpoint.bodies.get(command, expected), request.document)
    return [finding.message for finding in found]
