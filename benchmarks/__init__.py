"""Measurements: `python -m benchmarks.throughput`. Figures are ratios within one run; see README.md."""
