"""`ocpi-hub` as it is typed: what is read from the command line, what is done, what is told.

Heavy imports stand inside the commands, so that `--help`, `invite` and the start of `serve` do not wait for what they never use.
"""
