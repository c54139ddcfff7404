"""Records of TFRecord files, found in bytes, their checksums compared.

    record   length (8 bytes), masked CRC-32C of the length (4), content, masked CRC-32C of the content (4)

all little-endian.
"""

from __future__ import annotations

from distkeras.kernels.checksum import crc32c_of
from distkeras.kernels.compile import inlined, kernel

# What a search keeps: where to go on, what is wrong there, and how many bytes the record there has in all.
END, FAULT, NEEDED = range(3)
IN_LENGTH, IN_CONTENT = 1, 2


@inlined
def _number(data, start, count):
    number = 0
    for i in range(count):
        number |= data[start + i] << 8 * i
    return number


@inlined
def _is_checked(data, start, stop, tables):
    """Whether the four bytes after data[start:stop] are its checksum."""
    crc = crc32c_of(data, start, stop, 0xFFFFFFFF, tables) ^ 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF == _number(data, stop, 4)


@kernel("int64(Array(uint8, 1, 'C', True), uint32[:, ::1], int64[::1], int64[:, ::1])")
def find_records(data, tables, state, out):
    """out[i] = where the content of record i begins and ends, of the whole records from state[END] on.

    Args:
        data: Bytes of a file.
        tables: Those of the checksum.
        state: END is moved on; FAULT and NEEDED say of the record there what is known, else they are 0.

    Returns:
        How many records were found, at most as many as `out` has room for.
    """
    count, position = 0, state[0]
    state[1], state[2] = 0, 0
    while count < out.shape[0] and position + 12 <= data.size:
        size = _number(data, position, 8)
        if size < 0 or size > 1 << 62 or not _is_checked(data, position, position + 8, tables):
            state[1] = IN_LENGTH
            break
        start, stop = position + 12, position + 12 + size
        state[2] = size + 16
        if stop + 4 > data.size:
            break
        if not _is_checked(data, start, stop, tables):
            state[1] = IN_CONTENT
            break
        out[count, 0], out[count, 1] = start, stop
        count += 1
        position = stop + 4
        state[2] = 0
    state[0] = position
    return count
