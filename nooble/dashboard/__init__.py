"""The dashboard: what runs, what waits and what went wrong, seen and mended in a browser. It works by pointing at the server
only. Needs the extra `dashboard`."""

from nooble.dashboard.access import Access
from nooble.dashboard.app import dashboard

__all__ = ["Access", "dashboard"]
