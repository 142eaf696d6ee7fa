"""The order ids of one session that have left its table's row."""

from collections.abc import Collection, Iterator

from app.domain.row import ID_BYTES, Chunk

# Bits of the filter for each id, and how many of them an id sets: one new id in four hundred costs a look in vain.
BITS_PER_ID = 16
PROBES = 4
_FIRST_BITS = 1 << 10


class SessionIds:
    """Chunks by number, with a Bloom filter in front.

    Nearly every order comes with an id that is new, and in a long session a look into each chunk would cost more than
    all the rest of the decision.
    """

    __slots__ = ("_bits", "_chunks", "_filter", "_ids")

    def __init__(self, *chunks: Chunk) -> None:
        self._chunks: dict[int, Chunk] = {}
        self._ids = 0
        self._bits = _FIRST_BITS
        self._filter = bytearray(self._bits // 8)
        for chunk in chunks:
            self.put(chunk)

    def __iter__(self) -> Iterator[Chunk]:
        return iter(self._chunks.values())

    def __len__(self) -> int:
        return len(self._chunks)

    def __contains__(self, number: int) -> bool:
        return number in self._chunks

    def put(self, chunk: Chunk) -> None:
        """Keep a chunk under its number."""
        self._chunks[chunk.number] = chunk
        self._ids += len(chunk.ids) // ID_BYTES
        if self._ids * BITS_PER_ID <= self._bits:
            self._note(chunk)
            return
        while self._ids * BITS_PER_ID > self._bits:
            self._bits *= 2
        self._filter = bytearray(self._bits // 8)
        for present in self._chunks.values():
            self._note(present)

    def remove(self, number: int) -> None:
        """Take a chunk out; its bits stay, which costs a look in vain at most."""
        self._chunks.pop(number, None)

    def that_may_hold(self, id_hash: bytes) -> Collection[Chunk]:
        """The chunks to look into for an id: none, when it is certainly in none of them."""
        bits = self._filter
        for position in self._positions(id_hash):
            if not bits[position >> 3] & 1 << (position & 7):
                return ()
        return self._chunks.values()

    def _note(self, chunk: Chunk) -> None:
        bits = self._filter
        for start in range(0, len(chunk.ids), ID_BYTES):
            for position in self._positions(chunk.ids[start : start + 16]):
                bits[position >> 3] |= 1 << (position & 7)

    def _positions(self, id_hash: bytes) -> Iterator[int]:
        # An id's hash is as good as random: its parts are the filter's hashes. The bits are a power of two.
        mask, number = self._bits - 1, int.from_bytes(id_hash, "big")
        return (number >> shift & mask for shift in range(0, 32 * PROBES, 32))
