"""The OCPP side: wire messages to version-free facts, and back.

`socket` listens, `registry` knows which socket is a charger's newest, `rpc` speaks OCPP-J on one socket, `v16` turns OCPP 1.6
into the words of `charging.events`, `remote` asks chargers for something.
"""
