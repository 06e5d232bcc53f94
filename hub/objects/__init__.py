"""One copy of every client owned object that passed, as its owner spelled it."""
