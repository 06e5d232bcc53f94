"""CDRs module (mod_cdrs)."""
