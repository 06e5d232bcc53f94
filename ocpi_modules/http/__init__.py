"""The one HTTP edge of OCPI: the door in (server, listener) and the door out (client)."""
