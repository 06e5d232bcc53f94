"""Tokens module (mod_tokens)."""
