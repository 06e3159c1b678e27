"""Benchmarks: run by hand, never a test. They write what they measured into docs/benchmarks.md."""
