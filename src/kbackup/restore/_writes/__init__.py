"""A plan carried out: the writes, and what is kept to undo or to resume them."""
