"""HubClientInfo module (mod_hub_client_info)."""
