"""What commands print: text from data can neither move the cursor nor colour the terminal."""

import typer

from depthclip_core.text import printable


def say(text: object, *, err: bool = False) -> None:
    """Print lines, on stderr if `err`, without control characters."""
    typer.echo("\n".join(map(printable, str(text).split("\n"))), err=err)
