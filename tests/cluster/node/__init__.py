"""A real one-node Kubernetes cluster without Docker, behind kind's four verbs.

For tests and the demo on a Linux machine where one is root and has no Docker engine. Only the
standard library is used, so that the program runs before anything of the project is installed.
It must never touch a process, a mount, a rule or a cluster that it has not made itself.
"""
