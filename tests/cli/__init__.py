"""The command line as a person meets it: what is typed, what is shown, how it ends."""
