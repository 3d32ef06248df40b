"""The small Kubernetes API server behind `kbackup.testing.SimulatedCluster`.

Everything here runs on one event loop and is therefore free of locks. `server` takes
requests and hands them to `verbs`, `watching`, `discovery` and `execution`; `verbs`
decides, `storage` remembers.
"""
