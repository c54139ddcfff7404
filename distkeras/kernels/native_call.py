"""Calling machine code by its address: what lets a plan run many kernels without the interpreter between them.

Numba compiles a kernel to `int32 f(result*, exception**, words...)`: an array is passed as 5 + 2 ndim words (two
owners, element count and size, data, shape, strides), an integer as one, a float in a register of its own kind. A form
says this of a kernel in letters: `w` for each word, `f` and `d` for float32 and float64, `F` and `D` for those that are
looked up at each call, where an array without dimensions was given for them. Kernels of one form are called by the same
few instructions. The status that comes back is 0 unless the kernel raised.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.dispatcher import Dispatcher
from numba.extending import intrinsic

from distkeras.kernels.compile import kernel

_WORD, _STATUS, _POINTER = ir.IntType(64), ir.IntType(32), ir.PointerType()
_LETTERS = {"w": _WORD, "f": ir.FloatType(), "d": ir.DoubleType()}
LOOKED_UP = {"F": "f", "D": "d"}
# Numba reports a kernel that returns nothing with a status of its own.
_RETURNED_NONE = -2


@intrinsic
def call_form(typing_context, form, function, words):
    """Call the kernel at address `function` with the words at address `words`; `form` is a literal string.

    Returns an int64, 0 if the kernel returned and 1 if it raised.
    """
    if not isinstance(form, types.StringLiteral):
        return None
    letters = form.literal_value

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        _, function, words = arguments
        values = []
        for place, letter in enumerate(letters):
            address = builder.inttoptr(builder.add(words, _WORD(8 * place)), _POINTER)
            if letter in LOOKED_UP:
                letter = LOOKED_UP[letter]
                address = builder.inttoptr(builder.load(address, typ=_WORD, align=8), _POINTER)
            values.append(builder.load(address, typ=_LETTERS[letter], align=4))
        spare = builder.alloca(_WORD), builder.alloca(_WORD)
        for pointer in spare:
            builder.store(_WORD(0), pointer)
        kind = ir.FunctionType(
            _STATUS, [_POINTER, _POINTER, *(_LETTERS[LOOKED_UP.get(letter, letter)] for letter in letters)]
        )
        callee = builder.inttoptr(function, kind.as_pointer())
        pointers = [builder.bitcast(pointer, _POINTER) for pointer in spare]
        status = builder.call(callee, [*pointers, *values])
        returned = builder.or_(
            builder.icmp_signed("==", status, _STATUS(0)), builder.icmp_signed("==", status, _STATUS(_RETURNED_NONE))
        )
        return builder.zext(builder.not_(returned), _WORD)

    return types.int64(form, types.int64, types.int64), generate


@intrinsic
def _call_caller(typing_context, call):
    """Call a compiled `int64 caller(int64 function, int64 words)`; the three lie at the address `call`."""
    kinds = (types.int64, types.int64)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        places = [builder.inttoptr(builder.add(arguments[0], _WORD(8 * index)), _POINTER) for index in range(3)]
        caller, *rest = [builder.load(place, typ=_WORD, align=8) for place in places]
        kind = context.call_conv.get_function_type(types.int64, kinds)
        callee = builder.inttoptr(caller, kind.as_pointer())
        return context.call_conv.call_function(builder, callee, types.int64, kinds, rest)[1]

    return types.int64(types.int64), generate


@kernel("int64(int64, int64, int64)")
def call_all(calls, count, start):
    """Make calls from `start` on; the index of one that raised, or their number.

    `calls` is the address of int64 [count, 3]: caller, kernel, words. The array itself would take longer to pass.
    """
    for index in range(start, count):
        if _call_caller(calls + 24 * index) != 0:
            return index
    return count


def address_of(function: Dispatcher) -> int:
    """Where the machine code of a compiled kernel begins."""
    (compiled,) = function.overloads.values()
    return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)


def pack(function: Any, arguments: tuple) -> tuple[str, np.ndarray] | None:
    """The form and the words of a call; None for what can only be called by the interpreter.

    Arguments are held against the declared types here, once: nothing looks at them any more when the call is made.
    """
    if not isinstance(function, Dispatcher) or len(function.overloads) != 1:
        return None
    (compiled,) = function.overloads.values()
    kinds = compiled.signature.args
    if len(kinds) != len(arguments) or compiled.signature.return_type != types.none:
        return None
    packed = [_pack_one(kind, value) for kind, value in zip(kinds, arguments, strict=True)]
    if any(one is None for one in packed):
        return None
    return "".join(form for form, _ in packed), np.concatenate(
        [words for _, words in packed] or [np.zeros(0, np.int64)]
    )


def _pack_one(kind: types.Type, value: Any) -> tuple[str, np.ndarray] | None:
    if isinstance(kind, types.Array):
        return _pack_array(kind, value)
    if kind == types.int64 and isinstance(value, (int, np.integer)):
        return "w", np.array([value], np.int64)
    if isinstance(value, np.ndarray) and value.ndim == 0 and str(kind) == value.dtype.name and value.dtype.kind == "f":
        return "F" if value.itemsize == 4 else "D", np.array([value.ctypes.data], np.int64)
    if kind == types.float64 and isinstance(value, (float, np.floating)):
        return "d", np.array([value], np.float64).view(np.int64)
    if kind == types.float32 and isinstance(value, (float, np.floating)):
        return "f", np.array([value, 0], np.float32).view(np.int64)
    return None


def _pack_array(kind: types.Array, value: Any) -> tuple[str, np.ndarray] | None:
    fits = (
        isinstance(value, np.ndarray)
        and value.ndim == kind.ndim
        and value.dtype == np.dtype(kind.dtype.name)
        and (value.flags.c_contiguous or kind.layout == "A")
        and value.flags.aligned
        and (value.flags.writeable or not kind.mutable)
    )
    if not fits:
        return None
    words = [0, 0, value.size, value.itemsize, value.ctypes.data, *value.shape, *value.strides]
    return "w" * len(words), np.array(words, np.int64)
