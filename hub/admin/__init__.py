"""What operators and machines that watch the hub see: its own listener, never the partners' (S-44)."""
