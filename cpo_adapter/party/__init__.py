"""The OCPI side: an ordinary platform with one CPO party that is reached through a hub."""
