"""`make bench-operator`: how long from `kubectl apply` to Ready, and what the operator costs.

Runs on the tests' cluster (our own node: its audit log and its processes are read), with the
operator installed by the chart and a PostgreSQL with fsync on. Each file has three DDL statements.
Figures go to docs/benchmarks.md between two markers.
"""
