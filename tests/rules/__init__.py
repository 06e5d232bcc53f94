"""Which test proves which rule of the checklist: `python -m tests.rules` (or `make coverage-of-rules`)."""
