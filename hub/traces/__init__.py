"""What happened to each routed message."""
