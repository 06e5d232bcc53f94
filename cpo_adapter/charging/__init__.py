"""The truth of a charge, pure: no OCPP, no OCPI transport, no database, no clock."""
