"""The operator: observes resources, decides what should run, creates Jobs, tells the status.

It talks to the Kubernetes API only: it never connects to a target database and never reads a
Secret. `observe` reads, `decide` is pure, `act` writes; `handlers` and `reconcile` connect them.
"""
