"""Who listens to what happens: logs, metrics and traces, each in an adapter of its own; and probes."""
