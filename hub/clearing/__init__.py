"""The CDR journal: billing data is never lost, changed or delivered twice in effect."""
