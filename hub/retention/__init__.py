"""How long things are kept, and what is made before it is needed."""
