"""PostgreSQL: where it comes from (`embedded`), how it is reached (`engine`), and how its tables change (`migrate`)."""
