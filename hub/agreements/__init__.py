"""Who may exchange what with whom."""
