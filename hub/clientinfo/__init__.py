"""HubClientInfo: who is connected, and telling the others."""
