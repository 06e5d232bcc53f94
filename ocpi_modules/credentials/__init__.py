"""Credentials module (credentials)."""
