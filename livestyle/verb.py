"""The classes of verbs and of groups of them, which say how the help of all our command lines looks."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup


class Verb(TyperCommand):
    """Verb whose help names no type beside a switch or an argument.

    ``--json <bool>`` reads as if a value had to follow, and ``IN <list[path]>`` as if brackets were to be typed.
    """

    def get_params(self, ctx: Any) -> Any:
        return _without_types(super().get_params(ctx))


class Group(TyperGroup):
    """Group of verbs with the same help."""

    def get_params(self, ctx: Any) -> Any:
        return _without_types(super().get_params(ctx))


def _without_types(params: Any) -> Any:
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
        elif param.param_type_name == "argument":
            param.display_type_rich = lambda ctx: None
    return params
