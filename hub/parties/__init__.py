"""Who takes part: platforms, their parties, their endpoints and tokens, and the view of them every request uses."""
