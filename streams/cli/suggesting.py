"""A group of commands that knows what a mistyped one may have meant."""

from difflib import get_close_matches

import click


class Suggesting(click.Group):
    """Refuses an unknown command with the nearest of its own."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that `args` begin with."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            near = get_close_matches(name, self.list_commands(ctx), 1)
            ctx.fail(f"no command {name!r}" + (f", did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)
