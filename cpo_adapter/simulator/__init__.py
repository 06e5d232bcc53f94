"""A simulated OCPP 1.6 charger with a real-time meter and a ledger of its own: for the demo, for load and for tests.

It shares no code with `csms`, so that a mistake there is not repeated here; what it says it delivered is what was delivered.
"""
