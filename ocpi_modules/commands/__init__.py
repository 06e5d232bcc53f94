"""Commands module (mod_commands)."""
