"""Why a request has no answer.

SendFailed
|-- RequestRefused     we did not send it: no address, header or room for it
|   `-- AddressRefused the URL or the address behind it is one we never call (S-21 to S-23)
|-- Unreachable        no connection, or it broke (F-15, F-18, F-27)
|-- TimedOut           the deadline passed (F-16, F-17, F-19)
|-- AnswerTooLarge     F-21
`-- BadAnswer          what came back is not HTTP, or is compressed although identity was asked for
"""


class SendFailed(Exception):
    """`request_was_sent`: whether a byte of the request left; if so the partner may have acted on it."""

    def __init__(self, message: str, *, request_was_sent: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.request_was_sent = request_was_sent


class RequestRefused(SendFailed):
    pass


class AddressRefused(RequestRefused):
    pass


class Unreachable(SendFailed):
    pass


class TimedOut(SendFailed):
    pass


class AnswerTooLarge(SendFailed):
    pass


class BadAnswer(SendFailed):
    pass
