"""The plan: claims, table, document, digest, and what is known while it is made."""
