"""`python -m app access`: who may do what, as docs/access.md shows it."""

import click

from app.web.permissions import KITCHEN_ROUTES, ROUTES, YES, Holder, Route

_HEAD = """\
# Access

Made by `python -m app access`. What each route answers, by who holds the token that a request is sent with; ✓ is
"done". A test asks every route as everybody.
"""
_TAIL = """\
- A pad's token names a table and its session, and ends with that session: 401 from then on.
- "The table's pad" means the table that the request is about; a dish is nobody's.
- Where 404 stands, it is not told whether there is such an order.
- Staff's tokens name a role, and may name a person for the menu's history. Workers make their own.
- `HEAD` is answered as `GET`, `OPTIONS` tells a path's methods, for everybody. Any other path or method: 404, 405.
- Metrics are not here: each process serves them on a port of its own, and so do the ledgers, the auditor and the
  monitor their pages. Those ports ask for no token, and are to be reached from inside only."""


@click.command()
def command() -> None:
    """Print who may do what: every route, and what each holder of a token is answered."""
    click.echo(_HEAD)
    for service, routes in (("orders", ROUTES), ("kitchen", KITCHEN_ROUTES)):
        click.echo(f"## The {service} service\n")
        click.echo("| route | " + " | ".join(holder.value for holder in Holder) + " |")
        click.echo("|---|" + ":-:|" * len(Holder))
        for route in routes:
            click.echo(_line(route))
        click.echo()
    click.echo(_TAIL)


def _line(route: Route) -> str:
    told = ("✓" if route.verdicts[holder] == YES else str(route.verdicts[holder]) for holder in Holder)
    return f"| `{route.method} {route.path}` | {' | '.join(told)} |"
