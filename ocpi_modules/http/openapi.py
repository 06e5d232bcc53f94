"""The OpenAPI 3.1 documents, built from the module tables; nothing here is served.

`write` makes openapi/ocpi-2.2.1.json, which is checked in: a test compares it, so that tables and document cannot drift apart.
"""

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ocpi_modules import headers, json
from ocpi_modules.commands.enums import CommandType
from ocpi_modules.http.examples import EXAMPLES, NOON
from ocpi_modules.http.paths import VERSION, details_url, endpoint_url, versions_url
from ocpi_modules.registry import VERSIONS
from ocpi_modules.spec import Endpoint, Kind, Method, ModuleID, ModuleSpec, Partial
from ocpi_modules.tokens.enums import TokenType
from ocpi_modules.validation import partial

Json = dict[str, Any]
REF = "#/components/schemas/{model}"
IDS = re.compile(r"\s*\((?=[^)]*\b[A-Z]{1,2}-\d)[^)]*\)")

TAGS: Mapping[ModuleID, str] = {
    ModuleID.versions: "The two documents every connection starts with.",
    ModuleID.credentials: "Registration of a platform. Ends at the platform itself.",
    ModuleID.locations: "Locations, EVSEs and Connectors, owned by a CPO.",
    ModuleID.sessions: "Charging sessions while they run, owned by a CPO.",
    ModuleID.cdrs: "What is billed, owned by a CPO. Never changed.",
    ModuleID.tariffs: "Prices, owned by a CPO.",
    ModuleID.tokens: "What identifies a driver, owned by an eMSP; and real-time authorization.",
    ModuleID.commands: "Remote commands. Results come later, to the response_url.",
    ModuleID.chargingprofiles: "Limits for running sessions. Results come later, to the response_url.",
    ModuleID.hubclientinfo: "Who is connected to the hub. Ends at the platform itself.",
}
ERRORS: Mapping[str, tuple[int, str]] = {
    "400": (2001, "The body is not JSON that is accepted."),
    "401": (2000, "The token is missing or not known."),
    "404": (2001, "There is no such object or URL."),
    "405": (2000, "The method is not offered here, or not in this state of the registration."),
    "429": (2000, "Too many requests; see Retry-After."),
    "503": (3000, "What must be stored cannot be stored now; see Retry-After."),
}
ROUTING = {
    headers.TO_COUNTRY_CODE: 2,
    headers.TO_PARTY_ID: 3,
    headers.FROM_COUNTRY_CODE: 2,
    headers.FROM_PARTY_ID: 3,
}
LENGTHS = {"country_code": 2, "party_id": 3}
QUERY: Mapping[str, Json] = {
    "date_from": {"type": "string", "format": "date-time", "description": "last_updated at or after this time"},
    "date_to": {"type": "string", "format": "date-time", "description": "last_updated before this time"},
    "offset": {"type": "integer", "minimum": 0, "default": 0},
    "limit": {"type": "integer", "minimum": 1},
    "type": {"type": "string", "enum": [str(type) for type in TokenType], "default": "RFID"},
    "duration": {"type": "integer", "description": "seconds"},
    "response_url": {"type": "string", "format": "uri", "maxLength": 255},
}


def document(version: str = VERSION) -> Json:
    """The document of one version of OCPI, as JSON values (numbers with a fraction are Decimal)."""
    modules = VERSIONS[version]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"OCPI {version}",
            "version": version,
            "description": "Take URLs from version details. Answers with HTTP 200 may refuse: read status_code.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "https://{host}", "variables": {"host": {"default": "hub.example"}}}],
        "tags": [{"name": str(module), "description": TAGS[module]} for module in modules],
        "security": [{"token": []}],
        "paths": _paths(modules, version),
        "components": {
            "securitySchemes": {"token": _security()},
            "parameters": _shared_parameters(),
            "headers": _shared_headers(),
            "responses": {name: _refusal(*error) for name, error in ERRORS.items()},
            "schemas": _schemas(modules),
        },
    }


def write(directory: Path) -> list[Path]:
    """Write one file for each version; their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for version in VERSIONS:
        path = directory / f"ocpi-{version}.json"
        path.write_bytes(text(version))
        paths.append(path)
    return paths


def text(version: str = VERSION) -> bytes:
    """The document as it is checked in: indented JSON with a line feed at its end."""
    return msgspec.json.format(json.encode(document(version)), indent=2) + b"\n"


def _paths(modules: Mapping[ModuleID, ModuleSpec], version: str) -> Json:
    paths: Json = {}
    for spec in modules.values():
        for endpoint in spec.endpoints:
            paths.setdefault(_url(spec, endpoint, version), {})[endpoint.method.lower()] = _operation(spec, endpoint)
    return paths


def _url(spec: ModuleSpec, endpoint: Endpoint, version: str) -> str:
    if spec.id is ModuleID.versions:
        return versions_url("") if not endpoint.names else details_url("", version)
    path = endpoint.path
    if endpoint.interface == "SENDER" and endpoint.method is Method.POST and spec.id is ModuleID.chargingprofiles:
        path = path.replace("{ticket}", "{session_id}")  # OpenAPI knows one name for one place of a path
    return endpoint_url("", spec.id, endpoint.interface, version) + path


def _operation(spec: ModuleSpec, endpoint: Endpoint) -> Json:
    names = re.findall(r"\{(\w+)\}", _url(spec, endpoint, VERSION))
    nouns = "_".join(endpoint.segments).replace("{", "").replace("}", "")
    operation: Json = {
        "tags": [str(spec.id)],
        "operationId": f"{endpoint.method.lower()}_{spec.id}_{endpoint.interface.lower()}_{nouns}".rstrip("_"),
        "summary": f"{endpoint.method} on the {endpoint.interface} interface of {spec.id}",
        "parameters": [*_parameters(spec, endpoint, names)],
        "responses": _responses(endpoint),
    }
    if endpoint.self_defined:
        operation["description"] = "The URL was made up by its owner; use the one that was given, as it is."
    if endpoint.body is not None:
        operation["requestBody"] = {"required": not endpoint.body_optional, "content": _content(endpoint.body)}
    return operation


def _parameters(spec: ModuleSpec, endpoint: Endpoint, names: list[str]) -> Iterator[Json]:
    for name in names:
        schema: Json = {"type": "string", "maxLength": LENGTHS.get(name, 36)}
        if name == "command":
            schema = {"type": "string", "enum": [str(command) for command in CommandType]}
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    shared = [headers.REQUEST_ID, headers.CORRELATION_ID]
    shared += ROUTING if spec.kind is Kind.FUNCTIONAL else ()
    yield from ({"$ref": f"#/components/parameters/{name}"} for name in shared)
    required = endpoint.required_query
    for name in (*required, *(name for name in endpoint.query if name not in required)):
        yield {"name": name, "in": "query", "required": name in required, "schema": QUERY[name]}


def _responses(endpoint: Endpoint) -> Json:
    schema: Json = {"$ref": REF.format(model="Envelope")}
    answer: Json = {"status_code": 1000, "status_message": "Success", "timestamp": NOON}
    if endpoint.returns is not None:
        data, example = _schema(endpoint.returns), EXAMPLES[_names(endpoint.returns)[0]]
        is_list = endpoint.is_list or get_origin(endpoint.returns) is list
        data, example = ({"type": "array", "items": data}, [example]) if is_list else (data, example)
        schema = {"allOf": [schema, {"type": "object", "properties": {"data": data}}]}
        answer = {"data": example} | answer
    names = [headers.REQUEST_ID, headers.CORRELATION_ID]
    names += [headers.LINK, headers.TOTAL_COUNT, headers.LIMIT] if endpoint.is_list else []
    names += [headers.LOCATION] if endpoint.location_header else []
    success = {
        "description": "The request reached OCPI; status_code says how it ended.",
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        "content": {"application/json": {"schema": schema, "example": answer}},
    }
    created = {"201": success} if endpoint.method in (Method.PUT, Method.POST) else {}
    return {"200": success} | created | {code: {"$ref": f"#/components/responses/{code}"} for code in ERRORS}


def _content(body: Any) -> Json:
    names = _names(body)
    examples = {name: {"value": EXAMPLES[name]} for name in names}
    return {"application/json": {"schema": _schema(body), "examples": examples}}


def _models(annotation: Any) -> list[Any]:
    """The schemas an annotation of the tables speaks of."""
    if annotation is None:
        return []
    if get_origin(annotation) is Partial:
        return [partial(get_args(annotation)[0])]
    return list(get_args(annotation)) or [annotation]


def _names(annotation: Any) -> list[str]:
    return [model.__name__ for model in _models(annotation)]


def _schema(annotation: Any) -> Json:
    models = _models(annotation)
    if issubclass(models[0], StrEnum):
        return {"type": "string", "enum": [str(word) for word in models[0]]}
    references = [{"$ref": REF.format(model=model.__name__)} for model in models]
    return references[0] if len(references) == 1 else {"anyOf": references}


def _schemas(modules: Mapping[ModuleID, ModuleSpec]) -> Json:
    endpoints = [endpoint for spec in modules.values() for endpoint in spec.endpoints]
    used = {model.__name__: model for each in endpoints for model in (*_models(each.body), *_models(each.returns))}
    models: list[tuple[type[BaseModel], Any]] = [
        (model, "validation") for model in used.values() if issubclass(model, BaseModel)
    ]
    _, definitions = models_json_schema(models, ref_template=REF)
    schemas = {name: _readable(schema) for name, schema in sorted(definitions["$defs"].items())}
    return {"Envelope": _envelope()} | schemas


def _readable(schema: Any) -> Any:
    """Without generated titles, defaults of null, and our own numbering of rules."""
    if isinstance(schema, list):
        return [_readable(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        name: _readable(value)
        for name, value in schema.items()
        if not (name == "title" and isinstance(value, str)) and not (name == "default" and value is None)
    }
    if isinstance(kept.get("description"), str):
        kept["description"] = IDS.sub("", " ".join(kept["description"].split()))
        if re.match(r"[A-Z]{1,2}-\d", kept["description"]):
            del kept["description"]
    return kept


def _envelope() -> Json:
    return {
        "type": "object",
        "required": ["status_code", "timestamp"],
        "properties": {
            "data": {},
            "status_code": {"type": "integer", "description": "1xxx success, 2xxx client, 3xxx server, 4xxx hub"},
            "status_message": {"type": "string"},
            "timestamp": {"type": "string", "format": "date-time"},
        },
    }


def _refusal(status_code: int, description: str) -> Json:
    example = {"status_code": status_code, "status_message": description, "timestamp": NOON}
    schema = {"$ref": REF.format(model="Envelope")}
    return {"description": description, "content": {"application/json": {"schema": schema, "example": example}}}


def _security() -> Json:
    description = "`Token `, then the credentials token in Base64."
    return {"type": "apiKey", "in": "header", "name": "Authorization", "description": description}


def _shared_parameters() -> Json:
    ids = dict.fromkeys((headers.REQUEST_ID, headers.CORRELATION_ID), (True, 36))
    routing = {name: (False, length) for name, length in ROUTING.items()}
    return {
        name: {"name": name, "in": "header", "required": required, "schema": {"type": "string", "maxLength": length}}
        for name, (required, length) in (ids | routing).items()
    }


def _shared_headers() -> Json:
    text: Json = {"type": "string"}
    number: Json = {"type": "integer"}
    return {
        headers.REQUEST_ID: {"description": "The one of the request.", "schema": text},
        headers.CORRELATION_ID: {"description": "The one of the request.", "schema": text},
        headers.LINK: {"description": "The next page, but on the last one.", "schema": text},
        headers.TOTAL_COUNT: {"description": "How many objects match and may be seen.", "schema": number},
        headers.LIMIT: {"description": "How many objects the server returns at most.", "schema": number},
        headers.LOCATION: {"description": "The URL to read this CDR back.", "schema": text},
    }
