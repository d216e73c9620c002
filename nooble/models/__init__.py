"""Messages, outcomes and contexts: what travels, what became of it, and what a handler knows."""

from nooble.models.actions import DomainAction, DomainActionResponse, ErrorDetail
from nooble.models.context import ActionContext, current_context
from nooble.models.sensitive import Sensitive

__all__ = ["ActionContext", "DomainAction", "DomainActionResponse", "ErrorDetail", "Sensitive", "current_context"]
