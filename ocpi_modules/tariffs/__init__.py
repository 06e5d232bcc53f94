"""Tariffs module (mod_tariffs)."""
