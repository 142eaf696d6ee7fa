"""The rules of the log, each with a switch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """What a worker of the model keeps to; a field set to False breaks the rule that it names."""

    # The owner skips nothing, also when it has much in flight.
    every_command_is_decided: bool = True
    # A command read again at the offset of its acceptance: row, event and answer once more.
    ids_keep_their_offset: bool = True
    # An unknown id at or below the row's offset was refused then, and still is.
    refused_stays_refused: bool = True
    # A replay or refusal is answered only after what was decided before it is acknowledged,
    answers_wait: bool = True
    # and its command is committed only then.
    commits_wait: bool = True
    # Of two rows the one of the later command counts; a version says nothing of a close.
    rows_by_offset: bool = True
    # A session command read again sends its event again, and its row: the one in memory may be ahead of Kafka's.
    session_events_again: bool = True
    session_rows_again: bool = True
    # A close closes the session that it names and no other.
    close_names_its_session: bool = True
    # Where a stranger wrote a row, one's own is written again before compaction drops one's own.
    strangers_are_repaired: bool = True
    # Also one between two rows of one's own: the changelog's end says nothing of it.
    strangers_found_between_own_rows: bool = True
    # One that is ahead is not taken over: its chunks were not read.
    strangers_are_not_adopted: bool = True
    # A worker that keeps the partition reads on behind its own records, but not past the first stranger's among them.
    strangers_are_read: bool = True
    # A row without a chunk's ids, or of a new session, is sent after the chunks are acknowledged.
    chunk_before_row: bool = True
    open_waits_for_chunks: bool = True
    # A chunk's id counts only below the row's version: row and event may not have arrived.
    chunk_counts_below_row: bool = True
    # An open session's ids do not expire, since owners differ in when they leave the row and in a chunk's stamp,
    open_sessions_do_not_expire: bool = True
    # and are not deleted, since a chunk's absence must decide nothing.
    open_sessions_are_not_deleted: bool = True
    # What may be read again needs its chunks once more.
    deletion_follows_acks: bool = True
    # A cancel that is read again sends its event and its row again, as a session command does,
    cancelled_events_again: bool = True
    cancelled_rows_again: bool = True
    # and takes the order from the total once.
    cancelled_once: bool = True
    # One of a party that has left is told of, too.
    cancels_outlive_their_session: bool = True
    # Recovery reads the ids' changelog after the rows': a row in it may rely on a chunk that came just before.
    ids_recovered_after_rows: bool = True


ALL = Rules()
