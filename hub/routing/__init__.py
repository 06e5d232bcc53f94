"""Where a message goes, and the routes it can take."""
