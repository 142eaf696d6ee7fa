"""The order ids of one session that have left its table's row."""

import struct
from collections.abc import Collection, Iterator

from app.domain.row import CHUNK_BYTES, ID_BYTES, Chunk

# Bits of the filter for each id, and how many of them an id sets: one new id in four hundred costs a look in vain.
BITS_PER_ID = 16
PROBES = 4
FEW = 64  # ids that are looked through as fast as a filter is asked
_FIRST_BITS = 1 << 10
_SHIFTS = range(0, 32 * PROBES, 32)

_HEAD = struct.Struct(">qB")  # a chunk's stamp, and how many ids it has: 0 where there is none
_SLOT = _HEAD.size + CHUNK_BYTES


class SessionIds:
    """Chunks by number, one behind the other in one array: a worker may know millions of ids.

    Nearly every order comes with an id that is new, and in a long session a look through all would cost more than all
    the rest of the decision: hence a Bloom filter in front. It is made when it is first asked, which those of past
    sessions hardly ever are: a new owner has no time for them.
    """

    __slots__ = ("_bits", "_chunks", "_filter", "_ids", "_slots")

    def __init__(self, *chunks: Chunk) -> None:
        self._slots = bytearray()
        self._chunks = 0
        self._ids = 0  # that the filter has or would have
        self._bits = 0
        self._filter: bytearray | None = None
        for chunk in chunks:
            self.put(chunk)

    def __iter__(self) -> Iterator[Chunk]:
        return (self._chunk(number) for number in range(len(self._slots) // _SLOT) if number in self)

    def __len__(self) -> int:
        return self._chunks

    def __contains__(self, number: int) -> bool:
        count = (number + 1) * _SLOT - CHUNK_BYTES - 1
        return count < len(self._slots) and self._slots[count] > 0

    def put(self, chunk: Chunk) -> None:
        """Keep a chunk under its number."""
        start, count = chunk.number * _SLOT, len(chunk.ids) // ID_BYTES
        slot = _HEAD.pack(chunk.stamp, count) + chunk.ids.ljust(CHUNK_BYTES, b"\0")
        if start == len(self._slots):  # as they nearly always come
            self._slots += slot
            self._chunks += 1
        else:
            self._chunks += chunk.number not in self
            self._slots.extend(bytes(max(0, start + _SLOT - len(self._slots))))
            self._slots[start : start + _SLOT] = slot
        self._ids += count
        if self._filter is None:
            return
        if self._ids * BITS_PER_ID <= self._bits:
            self._note(self._filter, chunk)
        else:
            self._filter = None  # too full: it is made anew when it is asked next

    def remove(self, number: int) -> None:
        """Take a chunk out; its bits stay, which costs a look in vain at most."""
        if number in self:
            self._slots[number * _SLOT : (number + 1) * _SLOT] = bytes(_SLOT)
            self._chunks -= 1

    def that_may_hold(self, id_hash: bytes) -> Collection[Chunk]:
        """The chunks to look into for an id: none, when it is certainly in none of them."""
        if self._ids > FEW and not self._may_hold(id_hash):
            return ()
        at = self._slots.find(id_hash)
        return () if at < 0 else tuple(self._with(id_hash, at))

    def _chunk(self, number: int) -> Chunk:
        stamp, count = _HEAD.unpack_from(self._slots, number * _SLOT)
        start = number * _SLOT + _HEAD.size
        return Chunk(number, stamp, bytes(self._slots[start : start + count * ID_BYTES]))

    def _with(self, id_hash: bytes, at: int) -> Iterator[Chunk]:
        while at >= 0:
            number = at // _SLOT
            if number in self:
                yield self._chunk(number)
            at = self._slots.find(id_hash, at + 1)  # a hash may by chance stand across two entries

    # ── the filter ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _may_hold(self, id_hash: bytes) -> bool:
        bits = self._filter
        if bits is None:
            bits = self._filter = self._new_filter()
        # Of a new id's bits the first is hardly ever set: no generator, no second look.
        mask, number = self._bits - 1, int.from_bytes(id_hash, "big")
        for shift in _SHIFTS:
            position = number >> shift & mask
            if not bits[position >> 3] & 1 << (position & 7):
                return False
        return True

    def _new_filter(self) -> bytearray:
        self._bits = _FIRST_BITS
        while self._ids * BITS_PER_ID > self._bits:
            self._bits *= 2
        bits = bytearray(self._bits // 8)
        for chunk in self:
            self._note(bits, chunk)
        return bits

    def _note(self, bits: bytearray, chunk: Chunk) -> None:
        # An id's hash is as good as random: its parts are the filter's hashes. The bits are a power of two.
        mask = self._bits - 1
        for start in range(0, len(chunk.ids), ID_BYTES):
            number = int.from_bytes(chunk.ids[start : start + 16], "big")
            for shift in _SHIFTS:
                position = number >> shift & mask
                bits[position >> 3] |= 1 << (position & 7)


NO_IDS = SessionIds()
