"""Freshness of the hub's own store: Sender interfaces of parties that do not push are read by the hub itself (U-10, U-51)."""
