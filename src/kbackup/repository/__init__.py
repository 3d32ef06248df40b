"""restic's repository format: an encrypted, deduplicating store of files.

The room knows no cluster and no plugin, and is usable on its own. Only here are
`cryptography`, `zstandard` and `pyfastcdc` opened. Used by whoever keeps the data of
volumes, and by people who have a repository and want to read it.
"""
