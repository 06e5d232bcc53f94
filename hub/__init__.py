"""THE ROAMING HUB: routes OCPI messages between the parties that registered with it."""
