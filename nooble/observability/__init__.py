"""Who listens to events: logs, and later metrics and traces, each in an adapter of its own."""
