"""The platform's import path for helpers."""
