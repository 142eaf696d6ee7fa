"""`python -m app topics`: make the topics and set right what differs."""

import click

from app.adapters.topic_admin import TopicsError, make_topics
from app.settings import SettingsError, load
from app.topics import all_topics


@click.command()
def command() -> None:
    """Make the topics, and set right what differs."""
    try:
        settings = load()
        make_topics(settings.kafka_bootstrap, all_topics(settings), settings.kafka_replication, click.echo)
    except (SettingsError, TopicsError) as error:
        raise click.ClickException(str(error)) from error
