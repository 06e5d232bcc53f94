"""The only way out of the hub for routed messages."""
