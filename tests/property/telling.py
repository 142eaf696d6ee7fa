"""What happens in the model, in words."""

from app.domain.row import Row
from app.messages import OrderPlaced, PlaceOrder
from tests.property.worker import Worker


def decided(worker: Worker) -> str:
    rows = ", ".join(f"{table} {_of_row(row)}" for table, row in worker.rows.items())
    return f"{worker.name} decided {worker.position - 1}; {rows}"


def _of_row(row: Row) -> str:
    state = "open" if row.is_open else "closed"
    return f"session {row.session} {state} version {row.version} ids from {row.base} offset {row.offset}"


def short(record: object) -> str:
    match record:
        case PlaceOrder():
            refusal = f" ({record.refusal})" if record.refusal else ""
            return f"order {record.client_order_id} of {record.table}/{record.session} at {record.version}{refusal}"
        case OrderPlaced():
            return f"{record.client_order_id} placed, {record.table}/{record.session} version {record.version}"
        case (bytes() as key, None):
            return f"{key.decode()} deleted"
        case (bytes() as key, bytes() as value):
            return f"{key.decode()} {_of_row(Row.decode(value)) if b'/' not in key else ''}"
    return f"{type(record).__name__} {getattr(record, 'table', '')}/{getattr(record, 'session', '')}"
