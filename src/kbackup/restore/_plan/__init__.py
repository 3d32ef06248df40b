"""The plan: its lines, its table, its document, its digest, and what is known while it is made."""
