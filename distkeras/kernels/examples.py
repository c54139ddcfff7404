"""Features of serialized `tf.train.Example`, found and read without objects in between.

    Example{1: Features}   Features{1: Entry, ...}   Entry{1: name, 2: Feature}
    Feature{1: BytesList | 2: FloatList | 3: Int64List}   each list {1: value, ...}, numbers mostly packed

`find_features` says where each wanted list lies and how many values it has; `read_floats`, `read_ints` and `find_bytes`
then go through the lists of one feature. A field's kind is 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes.

Source: the encoding of protocol buffers, https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from distkeras.kernels.compile import inlined, kernel

BYTES, FLOATS, INTS = 1, 2, 3
# What there is to be known of a list: which of the kinds above, or 0 for none; where it begins and ends; its values.
KIND, START, STOP, COUNT = range(4)
_DATA = "Array(uint8, 1, 'C', True)"


@inlined
def _varint(data, position, stop):
    """The number at `position` and where the next byte is; -1 where there is no such number."""
    number, shift = 0, 0
    while position < stop and shift < 70:
        byte = data[position]
        position += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, position
        shift += 7
    return number, -1


@inlined
def _field(data, position, stop):
    """A field's number and kind, where its content begins and where it ends; an end of -1 for none that is known."""
    key, start = _varint(data, position, stop)
    kind = key & 7
    if start < 0:
        return 0, 0, 0, -1
    if kind == 2:
        size, start = _varint(data, start, stop)
        end = start + size if 0 <= size <= stop - start else -1
        return key >> 3, kind, start, -1 if start < 0 else end
    if kind == 0:
        _, end = _varint(data, start, stop)
        return key >> 3, kind, start, end
    end = start + (8 if kind == 1 else 4)
    return key >> 3, kind, start, end if kind in (1, 5) and end <= stop else -1


@inlined
def _is_name(data, start, stop, names, first, last):
    if stop - start != last - first:
        return False
    for i in range(stop - start):
        if data[start + i] != names[first + i]:
            return False
    return True


@inlined
def _count(data, kind, start, stop):
    """How many values a list has; -1 if it is none."""
    count, position = 0, start
    while position < stop:
        number, wire, first, last = _field(data, position, stop)
        if last < 0:
            return -1
        position = last
        if number != 1:
            continue
        if kind == 1:
            if wire != 2:
                return -1
            count += 1
        elif kind == 2:
            if wire == 2:
                if (last - first) & 3:
                    return -1
                count += (last - first) >> 2
            elif wire == 5:
                count += 1
            else:
                return -1
        elif wire == 2:
            length = 0
            for i in range(first, last):
                length += 1
                if data[i] < 128:
                    count += 1
                    length = 0
                elif length > 9:
                    return -1
            if length:
                return -1
        elif wire == 0:
            count += 1
        else:
            return -1
    return count


@inlined
def _find_in_example(data, start, stop, names, bounds, found):
    """Fill in what `found` (features, 4) says of one example; whether it has the usual form."""
    wanted, features = 0, found.shape[0]
    position = start
    while position < stop:
        number, wire, first, last = _field(data, position, stop)
        if last < 0:
            return False
        position = last
        if number != 1:
            continue
        if wire != 2:
            return False
        entry = first
        while entry < last:
            number, wire, inner, entry_stop = _field(data, entry, last)
            if entry_stop < 0:
                return False
            entry = entry_stop
            if number != 1:
                continue
            if wire != 2:
                return False
            name_start, name_stop, value_start, value_stop = 0, 0, 0, 0
            while inner < entry_stop:
                number, wire, content, inner = _field(data, inner, entry_stop)
                if inner < 0 or wire != 2:
                    return False
                if number == 1:
                    name_start, name_stop = content, inner
                elif number == 2:
                    value_start, value_stop = content, inner
            for _ in range(features):  # examples hold their features in the same order, mostly
                if _is_name(data, name_start, name_stop, names, bounds[wanted], bounds[wanted + 1]):
                    break
                wanted = wanted + 1 if wanted + 1 < features else 0
            else:
                continue
            if found[wanted, 1] != -1:  # twice in one example
                return False
            found[wanted, 1] = 0
            while value_start < value_stop:
                number, wire, content, value_start = _field(data, value_start, value_stop)
                if value_start < 0:
                    return False
                if 1 <= number <= 3:
                    if wire != 2 or found[wanted, 0] != 0:
                        return False
                    count = _count(data, number, content, value_start)
                    if count < 0:
                        return False
                    found[wanted, 0], found[wanted, 1] = number, content
                    found[wanted, 2], found[wanted, 3] = value_start, count
            wanted = wanted + 1 if wanted + 1 < features else 0
    return True


@kernel(f"int64({_DATA}, int64[::1], uint8[::1], int64[::1], int64[:, :, ::1])")
def find_features(data, offsets, names, bounds, out):
    """out[f, n] = kind, start, stop and count of values of feature f in example n; the kind is 0 where it has none.

    Args:
        data: The examples one after the other, example n in offsets[n] : offsets[n + 1].
        names: The features' names one after the other, name f in bounds[f] : bounds[f + 1].

    Returns:
        The number of the first example that is broken, or unusual (a feature twice); that of all if none is.
    """
    for n in range(out.shape[1]):
        for f in range(out.shape[0]):
            out[f, n, 0], out[f, n, 1], out[f, n, 2], out[f, n, 3] = 0, -1, 0, 0
        if not _find_in_example(data, offsets[n], offsets[n + 1], names, bounds, out[:, n]):
            return n
    return out.shape[1]


@kernel(f"void({_DATA}, int64[:, ::1], int64[::1], uint8[::1])")
def read_floats(data, lists, places, out):
    """The float32 values of lists (n, 4) that were found, those of list n from value places[n] of `out` on."""
    for n in range(lists.shape[0]):
        position, place = lists[n, 1], 4 * places[n]
        if lists[n, 0] != 2:
            continue
        while position < lists[n, 2]:
            number, _, first, position = _field(data, position, lists[n, 2])
            if number == 1:
                out[place : place + position - first] = data[first:position]
                place += position - first


@kernel(f"void({_DATA}, int64[:, ::1], int64[::1], int64[::1])")
def read_ints(data, lists, places, out):
    """The int64 values of lists (n, 4) that were found, those of list n from out[places[n]] on."""
    for n in range(lists.shape[0]):
        position, place = lists[n, 1], places[n]
        if lists[n, 0] != 3:
            continue
        while position < lists[n, 2]:
            number, _, first, position = _field(data, position, lists[n, 2])
            if number == 1:
                while first < position:
                    out[place], first = _varint(data, first, position)
                    place += 1


@kernel(f"void({_DATA}, int64[:, ::1], int64[::1], int64[:, ::1])")
def find_bytes(data, lists, places, out):
    """Where the values of lists (n, 4) of bytes begin and end, those of list n from out[places[n]] on."""
    for n in range(lists.shape[0]):
        position, place = lists[n, 1], places[n]
        if lists[n, 0] != 1:
            continue
        while position < lists[n, 2]:
            number, _, first, position = _field(data, position, lists[n, 2])
            if number == 1:
                out[place, 0], out[place, 1] = first, position
                place += 1
