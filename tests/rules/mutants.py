"""The sample: one rule broken at a time. `old` stands exactly once in its file; the tests marked with the rule must notice."""

from tests.support.mutation import Mutant

HEADERS, STATUS, PARSING = "ocpi_modules/headers.py", "ocpi_modules/status.py", "ocpi_modules/http/parsing.py"
PATHS, SERVER, PAGING = "ocpi_modules/http/paths.py", "ocpi_modules/http/server.py", "ocpi_modules/paging.py"
TYPES, PATCH, ENVELOPE = "ocpi_modules/types.py", "ocpi_modules/patch.py", "ocpi_modules/envelope.py"
LOCATIONS, CDRS = "ocpi_modules/locations/schemas.py", "ocpi_modules/cdrs/schemas.py"
DIRECTORY, SEND, OWNERSHIP = "hub/parties/directory.py", "hub/delivery/send.py", "hub/routing/ownership.py"
HANDSHAKE, ANSWERS, OWN = "hub/registration/handshake.py", "hub/routing/answers.py", "hub/own_modules.py"
TICKETS, RESPONSE_URL, KEEP = "hub/routing/tickets.py", "hub/routing/response_url.py", "hub/objects/keep.py"
PAGES, OBJECT_PAGES, GET_ALL = "hub/objects/page_repository.py", "hub/objects/pages.py", "hub/routing/get_all.py"
JOURNAL = "hub/clearing/journal.py"

MUTANTS = (
    Mutant("X-06", HEADERS, "for token in (decoded, value) if token]", "for token in (decoded,) if token]"),
    Mutant("X-08", HEADERS, '.decode("utf-8").rstrip("\\r\\n")', '.decode("utf-8")'),
    Mutant("X-09", HEADERS, "b64encode(token.encode())", 'b64encode((token + "\\n").encode())'),
    Mutant("X-14", HEADERS, 'scheme.lower() != "token"', 'scheme != "Token"'),
    Mutant("X-11", STATUS, "default_http_status = 401", "default_http_status = 403"),
    Mutant("X-12", DIRECTORY, "if not functional and module not in OPEN_TO_TOKEN_A:", "if False:"),
    Mutant("X-17", PARSING, r'r"application/json\s*(;.*)?"', 'r"application/json"'),
    Mutant("X-31", PAGES, "k.last_updated >= $4", "k.last_updated > $4"),
    Mutant("X-32", PAGES, "k.last_updated < $5", "k.last_updated <= $5"),
    Mutant("X-34", PAGING, "min(limit, cap)", "limit"),
    Mutant("X-39", PAGING, "[*_quoted(page.filters), ", "["),
    Mutant("X-40", PAGING, "TOTAL_COUNT: str(total)", "TOTAL_COUNT: str(page.limit)"),
    Mutant("X-41", PAGING, "LIMIT: str(page.cap)", "LIMIT: str(page.limit)"),
    Mutant("X-47", PAGING, 'values["limit"], least=1)', 'values["limit"], least=0)'),
    Mutant(
        "X-48",
        PATCH,
        "        return document\n    if kept is None:",
        "        return {**(kept or {}), **document}\n    if kept is None:",
    ),
    Mutant("X-49", PATCH, "merged = kept | changes", "merged = changes"),
    Mutant("X-50", "ocpi_modules/validation.py", 'if name != "last_updated"', "if name"),
    Mutant("X-55", OWNERSHIP, "expected = request.variables[names[-1]]", 'expected = str(body.get(field, ""))'),
    Mutant("X-56", OWNERSHIP, "        _check_body_owner(body, sender)\n", ""),
    Mutant("X-59", ENVELOPE, ', "timestamp": format_datetime(now)}', "}"),
    Mutant("X-64", ENVELOPE, "{} if data is NO_DATA else", "{} if False else"),
    Mutant("X-68", STATUS, "default_http_status = 400", "default_http_status = 422"),
    Mutant("X-70", STATUS, "default_http_status = 404", "default_http_status = 200"),
    Mutant("X-75", STATUS, "default_http_status = 405", "default_http_status = 404"),
    Mutant("X-73", ANSWERS, "or status in (404, 405) else 200", "else 200"),
    Mutant("X-85", SERVER, '(b"x-request-id", request_id.encode', '(b"x-request-id", correlation_id.encode'),
    Mutant("X-86", SERVER, '(b"x-correlation-id", correlation_id.encode', '(b"x-correlation-id", request_id.encode'),
    Mutant("X-88", SEND, "field(default_factory=headers.new_message_id)", '"req-1"'),
    Mutant("X-89", SEND, "message.correlation_id or message.request_id", "message.request_id"),
    Mutant("X-100", "ocpi_modules/http/client.py", "{endpoint_url.rstrip('/')}/{suffix", "{endpoint_url}/{suffix"),
    Mutant("X-101", PATHS, '.removesuffix("/").split', ".split"),
    Mutant("X-102", PATHS, 'unquote(segment, errors="strict") if "%" in segment else segment', "segment"),
    Mutant("Y-01", TYPES, r'_PRINTABLE_ASCII = r"^[\x20-\x7e]*$"', r'_PRINTABLE_ASCII = r"^[\x20-\xff]*$"'),
    Mutant("Y-02", PATCH, "wanted = level.id.upper()", "wanted = level.id"),
    Mutant("Y-07", TYPES, "(?:Z|[+-]00:00)?", r"(?:Z|[+-]\d\d:00)?"),
    Mutant("Y-08", TYPES, 'isoformat(timespec="milliseconds")', 'isoformat(timespec="microseconds")'),
    Mutant(
        "Y-14",
        TYPES,
        'not isinstance(value, int | Decimal):\n        raise wrong("must be a JSON',
        'not isinstance(value, int | Decimal | str):\n        raise wrong("must be a JSON',
    ),
    Mutant("Y-18", TYPES, "_string(255), AfterValidator(_url)", "_string(2550), AfterValidator(_url)"),
    Mutant(
        "E-11",
        OWN,
        "for module in functional for interface in InterfaceRole]",
        "for module in functional for interface in [InterfaceRole.SENDER]]",
    ),
    Mutant("C-24", HANDSHAKE, "if caller.token_kind is not TokenKind.A:", "if False:"),
    Mutant("C-25", HANDSHAKE, "if caller.token_kind is TokenKind.A or not caller.platform.registered:", "if False:"),
    Mutant("C-34", HANDSHAKE, '"role": Role.HUB.value', '"role": Role.CPO.value'),
    Mutant("C-40", "hub/registration/approval.py", "if (party, declared.role) not in allowed:", "if False:"),
    Mutant("L-20", PATCH, 'return parent | {"last_updated": pushed}', "return parent"),
    Mutant("L-45", LOCATIONS, r"^-?[0-9]{1,2}\.[0-9]{5,7}$", r"^-?[0-9]{1,2}\.[0-9]{1,7}$"),
    Mutant("L-51", LOCATIONS, "Field(ge=1, le=7)", "Field(ge=1, le=9)"),
    Mutant("L-56", LOCATIONS, 'if info.data.get("uid") and type is None:', "if False:"),
    Mutant("S-10", PATCH, "[*before, *added]", "added"),
    Mutant("D-32", CDRS, 'if info.data.get("credit") and not reference:', "if False:"),
    Mutant("D-42", CDRS, "        if used:\n", "        if False:\n"),
    Mutant("K-03", "ocpi_modules/tokens/spec.py", 'query_key={"type": "RFID"}', 'query_key={"type": "OTHER"}'),
    Mutant("K-04", KEEP, 'folded("|".join(parts))', "folded(parts[0])"),
    Mutant("M-30", RESPONSE_URL, "or parts.hostname not in hosts", "or False"),
    Mutant("M-33", OWNERSHIP, '("START_SESSION", "RESERVE_NOW")', "()"),
    Mutant("M-34", TICKETS, "return ticket.addressee in caller.platform.party_ids and agreed", "return agreed"),
    Mutant("R-28", GET_ALL, "return self._policy.allows(viewer, owner, module)", "return True"),
    Mutant(
        "R-66",
        OBJECT_PAGES,
        "(viewer, viewer) if asking.module in FOR_ONE_PARTY else (EVERYBODY, viewer)",
        '("DE*MSP", "DE*MSP")',
    ),
    Mutant("D-20", JOURNAL, "or PartyId.read(delivery.owner) not in askers:", "or False:"),
    Mutant(
        "R-108",
        "hub/routing/custom_modules.py",
        "if request.custom not in caller.platform.custom_modules:",
        "if False:",
    ),
    Mutant("R-38", "hub/delivery/messages.py", "        sender=hub,\n", "        sender=fresh.key.owner,\n"),
    Mutant(
        "P-22",
        RESPONSE_URL,
        'match[1] if re.match(r"https?://", match[1], re.IGNORECASE) else unquote_plus(match[1])',
        "unquote_plus(match[1])",
    ),
)
