"""Messages, outcomes and contexts: what travels, what became of it, and what a handler knows."""

from nooble.models.actions import DomainAction, DomainActionResponse, ErrorDetail
from nooble.models.context import ActionContext, current_context

__all__ = ["ActionContext", "DomainAction", "DomainActionResponse", "ErrorDetail", "current_context"]
