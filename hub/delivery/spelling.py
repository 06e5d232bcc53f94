"""What the hub sends of its own accord, spelled as the receiving platform needs it (its switches). Pure."""

from dataclasses import replace

from hub.delivery.send import RoutedMessage
from hub.parties.platforms import Platform
from ocpi_modules import nulls, registry
from ocpi_modules.spec import Method


def for_platform(message: RoutedMessage, platform: Platform) -> RoutedMessage:
    """The message with explicit nulls where the platform wants them: in whole objects only, a null in a PATCH would delete."""
    if not platform.switches.explicit_nulls or message.method is not Method.PUT:
        return message
    level = len(message.path.strip("/").split("/"))
    schema = next(
        endpoint.body
        for endpoint in registry.module("2.2.1", message.module).endpoints
        if (endpoint.interface, endpoint.method, len(endpoint.segments)) == (message.interface, Method.PUT, level)
    )
    return replace(message, body=nulls.explicit(schema, message.body))
