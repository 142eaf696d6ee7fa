"""`python -m app worker SERVICE --index N`: one process of a service, in the foreground."""

import os
import sys

import click

os.environ.setdefault("FAUST_LOOP", "uvloop")  # read when faust is imported
sys.modules.setdefault("rich", None)  # type: ignore[arg-type] # structlog's tracebacks in colour: 6 MB of each worker

SERVICES = ("orders", "ledger", "kitchen", "auditor", "monitor")


@click.command()
@click.argument("service", type=click.Choice(SERVICES))
@click.option(
    "--index", type=click.IntRange(1, 99), default=1, show_default=True, help="Which of the service's processes."
)
def command(service: str, index: int) -> None:
    """Run one worker process of a service until SIGTERM."""
    from app import settings as all_settings

    try:
        settings = all_settings.load()
    except all_settings.SettingsError as error:
        raise click.ClickException(str(error)) from error
    from app.service.logs import set_up_logging

    set_up_logging(settings)
    if service == "auditor":  # no Faust app: it is in no consumer group, and smaller without
        from app.service import auditor_worker

        sys.exit(auditor_worker.run(settings, index))
    if service == "monitor":
        from app.service import monitor_worker

        sys.exit(monitor_worker.run(settings, index))
    from faust import Worker

    from app import service as services

    app = services.build(service, index)
    worker = Worker(app, loglevel=None, redirect_stdouts=False, override_logging=False, workdir=None)
    sys.exit(worker.execute_from_commandline())
