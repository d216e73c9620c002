"""What others do with the same work: one small program each, used as its documentation recommends for speed.

Every program runs in an environment of its own (`benchmarks/environments.py`) and is driven as any other subject."""
