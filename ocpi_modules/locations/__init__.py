"""Locations module (mod_locations)."""
