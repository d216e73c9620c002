"""The command `nooble`: `main` declares what can be typed, one module a command does it. Floor 7, the hands."""
