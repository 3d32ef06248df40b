"""A plan carried out, or tried: the writes, and what is kept to undo or resume them."""
