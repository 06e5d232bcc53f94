"""Versions module (version_information_endpoint)."""
