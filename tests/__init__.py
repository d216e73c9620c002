"""The tests of nooble. They mirror the tree of the package; what they share lives in `tests.support`."""
