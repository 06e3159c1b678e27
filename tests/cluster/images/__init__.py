"""The images that the cluster's tests run: the project's own, and a PostgreSQL server.

Built by Docker where it runs, by buildah otherwise; never pulled from a registry by name in a test.
"""
