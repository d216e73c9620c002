"""What can be wrong with a declaration. It is told when the class is made, before anything could depend on it."""

from __future__ import annotations

from nooble.errors.base import ConfigurationFault


class DeclarationError(ConfigurationFault, TypeError):
    """An action is declared in a way that cannot work. The message names file, class and method, and the mend."""

    error_code = "DECLARATION_ERROR"
