"""OCPI as knowledge: objects, module tables, versions, one HTTP edge. No database, no opinion."""
