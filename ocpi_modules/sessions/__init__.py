"""Sessions module (mod_sessions)."""
