"""Recurrent layers over whole sequences: lowered to two calls a step, a product and what the cell makes of it.

    forward     h[t-1] @ recurrent -> gates[t];  step: with x[t], gates[t] -> c[t], h[t]            t = 0 ... T-1
    gradient    step: g[t] + what came from t+1 -> dx[t];  dx[t] @ recurrent^T -> carry             t = T-1 ... 0

Time is the first axis; x [T, B, n units] are the inputs times their kernel, bias included: one product for all steps,
made before. mask [T, B] is false where a sample's step does not count: there the state stays as it was.

Each loop is over five arrays at most: loops over a dozen stop being vectorised, which is ten times slower here.
"""

from __future__ import annotations

import functools

import numpy as np

from distkeras.kernels import vmath
from distkeras.kernels.compile import Calls, Scratch, inlined, kernel
from distkeras.kernels.gemm import as_matrix, matmul
from distkeras.kernels.reduce import lower_sum
from distkeras.kernels.transpose_matrices import transpose_matrices

Arrays = tuple[np.ndarray, ...]


# --- LSTM


def lstm_forward(inputs: Arrays, outputs: Arrays, scratch: Scratch) -> Calls:
    """Lower i, f, g, o = act(x + h recurrent); c = f c + i g; h = o tanh(c), act being sigmoid, and tanh for g.

    Args:
        inputs: x [T, B, 4U], recurrent [U, 4U], h0 and c0 [B, U], mask bool [T, B].
        outputs: h [T, B, U], last c [B, U], c [T, B, U], gates [T, B, 4U] (undefined where masked).
        scratch: (shape, dtype) -> working memory.
    """
    x, recurrent, h0, c0, mask = inputs
    h, last_c, c, gates = outputs
    step, scratch = lstm_step[x.dtype], functools.cache(scratch)  # each step's product needs the same memory
    calls: Calls = []
    for t in range(len(x)):
        h_before, c_before = (h[t - 1], c[t - 1]) if t else (h0, c0)
        calls += matmul(h_before, recurrent, gates[t], scratch=scratch)
        calls.append((step, (x[t], h_before, c_before, mask[t], gates[t], c[t], h[t])))
    return [*calls, (np.copyto, (last_c, c[-1]))]


def lstm_gradient(inputs: Arrays, outputs: Arrays, scratch: Scratch) -> Calls:
    """Lower the derivative of `lstm_forward`.

    Args:
        inputs: The gradients of h [T, B, U] and of the last c [B, U]; recurrent, h0, c0, mask, h, c, gates.
        outputs: The gradients of x, recurrent, h0 and c0.
        scratch: (shape, dtype) -> working memory.
    """
    g, g_last_c, recurrent, h0, c0, mask, h, c, gates = inputs
    dx, d_recurrent, dh0, dc = outputs
    carry, kept, calls, carry_back = _backwards(recurrent, h0, scratch)
    calls.append((np.copyto, (dc, g_last_c)))
    step = lstm_step_gradient[g.dtype]
    for t in reversed(range(len(g))):
        c_before = c[t - 1] if t else c0
        calls.append((step, (g[t], gates[t], c_before, c[t], mask[t], carry, kept, dc, dx[t])))
        calls += carry_back(dx[t])
    calls.append((np.add, (carry, kept, dh0)))
    return calls + _recurrent_gradient(h0, h, dx, d_recurrent, scratch)


@kernel("void({t}[:, ::1], {t}[:, ::1], {t}[:, ::1], boolean[::1], {t}[:, ::1], {t}[:, ::1], {t}[:, ::1])")
def lstm_step(x, h_before, c_before, mask, gates, c, h):
    """One step; gates hold h_before @ recurrent, and the activations afterwards."""
    units = h.shape[1]
    for n in range(h.shape[0]):
        if not mask[n]:
            h[n, :] = h_before[n]
            c[n, :] = c_before[n]
            continue
        row, added = gates[n], x[n]
        i, f, g, o = row[:units], row[units : 2 * units], row[2 * units : 3 * units], row[3 * units :]
        _sigmoid_of_sum(row[: 2 * units], added[: 2 * units])
        _tanh_of_sum(g, added[2 * units : 3 * units])
        _sigmoid_of_sum(o, added[3 * units :])
        old, new, out = c_before[n], c[n], h[n]
        for u in range(units):
            new[u] = f[u] * old[u] + i[u] * g[u]
        for u in range(units):
            out[u] = o[u] * vmath.tanh(new[u])


@kernel(
    "void({t}[:, ::1], {t}[:, ::1], {t}[:, ::1], {t}[:, ::1], boolean[::1], {t}[:, ::1], {t}[:, ::1], {t}[:, ::1], "
    "{t}[:, ::1])"
)
def lstm_step_gradient(g, gates, c_before, c, mask, carry, kept, dc, dx):
    """g + carry + kept is h's gradient: what passes the step unchanged stays in kept, what goes to c in dc."""
    one, units = g.dtype.type(1), g.shape[1]
    for n in range(g.shape[0]):
        dh = kept[n]
        _add_to(dh, g[n], carry[n])
        if not mask[n]:
            dx[n, :] = 0
            continue
        row, out, d = gates[n], dx[n], dc[n]
        i, f, a, o = row[:units], row[units : 2 * units], row[2 * units : 3 * units], row[3 * units :]
        di, df, da, do = out[:units], out[units : 2 * units], out[2 * units : 3 * units], out[3 * units :]
        now, before = c[n], c_before[n]
        for u in range(units):
            active = vmath.tanh(now[u])
            do[u] = dh[u] * active * o[u] * (one - o[u])
            d[u] += dh[u] * o[u] * (one - active * active)
        for u in range(units):
            di[u] = d[u] * a[u] * i[u] * (one - i[u])
            da[u] = d[u] * i[u] * (one - a[u] * a[u])
        for u in range(units):
            df[u] = d[u] * before[u] * f[u] * (one - f[u])
            d[u] *= f[u]
        dh[:] = 0


# --- GRU


def gru_forward(inputs: Arrays, outputs: Arrays, scratch: Scratch) -> Calls:
    """Lower z, r, p = h recurrent + bias; z = sigmoid(x_z + z), r likewise; a = tanh(x_a + r p); h = z h + (1 - z) a.

    Args:
        inputs: x [T, B, 3U], recurrent [U, 3U], bias [3U], h0 [B, U], mask bool [T, B].
        outputs: h [T, B, U], gates z, r, a [T, B, 3U], p [T, B, U] (these two undefined where masked).
        scratch: (shape, dtype) -> working memory.
    """
    x, recurrent, bias, h0, mask = inputs
    h, gates, p = outputs
    step, scratch = gru_step[x.dtype], functools.cache(scratch)
    calls: Calls = []
    for t in range(len(x)):
        h_before = h[t - 1] if t else h0
        calls += matmul(h_before, recurrent, gates[t], bias=bias, scratch=scratch)
        calls.append((step, (x[t], h_before, mask[t], gates[t], p[t], h[t])))
    return calls


def gru_gradient(inputs: Arrays, outputs: Arrays, scratch: Scratch) -> Calls:
    """Lower the derivative of `gru_forward`.

    Args:
        inputs: The gradient of h [T, B, U]; recurrent, h0, mask, h, gates, p.
        outputs: The gradients of x, recurrent, bias and h0.
        scratch: (shape, dtype) -> working memory.
    """
    g, recurrent, h0, mask, h, gates, p = inputs
    dx, d_recurrent, d_bias, dh0 = outputs
    product = scratch(dx.shape, dx.dtype)  # the gradient of h recurrent + bias
    carry, kept, calls, carry_back = _backwards(recurrent, h0, scratch)
    step = gru_step_gradient[g.dtype]
    for t in reversed(range(len(g))):
        h_before = h[t - 1] if t else h0
        calls.append((step, (g[t], gates[t], p[t], h_before, mask[t], carry, kept, dx[t], product[t])))
        calls += carry_back(product[t])
    calls.append((np.add, (carry, kept, dh0)))
    calls += lower_sum(as_matrix(product)[np.newaxis], d_bias[np.newaxis], scratch)
    return calls + _recurrent_gradient(h0, h, product, d_recurrent, scratch)


@kernel("void({t}[:, ::1], {t}[:, ::1], boolean[::1], {t}[:, ::1], {t}[:, ::1], {t}[:, ::1])")
def gru_step(x, h_before, mask, gates, p, h):
    """One step; gates hold h_before @ recurrent + bias, and the activations afterwards."""
    one, units = x.dtype.type(1), h.shape[1]
    for n in range(h.shape[0]):
        if not mask[n]:
            h[n, :] = h_before[n]
            continue
        row, added = gates[n], x[n]
        z, r, a = row[:units], row[units : 2 * units], row[2 * units :]
        part, offset, old, new = p[n], added[2 * units :], h_before[n], h[n]
        _sigmoid_of_sum(row[: 2 * units], added[: 2 * units])
        for u in range(units):
            part[u] = a[u]
        for u in range(units):
            a[u] = vmath.tanh(offset[u] + r[u] * part[u])
        for u in range(units):
            new[u] = z[u] * old[u] + (one - z[u]) * a[u]


@kernel(
    "void({t}[:, ::1], {t}[:, ::1], {t}[:, ::1], {t}[:, ::1], boolean[::1], {t}[:, ::1], {t}[:, ::1], {t}[:, ::1], "
    "{t}[:, ::1])"
)
def gru_step_gradient(g, gates, p, h_before, mask, carry, kept, dx, product):
    """As `lstm_step_gradient`; dx is for what is added to the gates, product for h_before @ recurrent + bias."""
    one, units = g.dtype.type(1), g.shape[1]
    for n in range(g.shape[0]):
        dh = kept[n]
        _add_to(dh, g[n], carry[n])
        if not mask[n]:
            dx[n, :] = 0
            product[n, :] = 0
            continue
        row, out, part, old = gates[n], dx[n], p[n], h_before[n]
        z, r, a = row[:units], row[units : 2 * units], row[2 * units :]
        dz, dr, da, dp = out[:units], out[units : 2 * units], out[2 * units :], product[n, 2 * units :]
        for u in range(units):
            dz[u] = dh[u] * (old[u] - a[u]) * z[u] * (one - z[u])
        for u in range(units):
            da[u] = dh[u] * (one - z[u]) * (one - a[u] * a[u])
        for u in range(units):
            dr[u] = da[u] * part[u] * r[u] * (one - r[u])
        for u in range(units):
            dp[u] = da[u] * r[u]
        for u in range(units):
            dh[u] *= z[u]
        product[n, : 2 * units] = out[: 2 * units]


# --- simple RNN


def simple_rnn_forward(inputs: Arrays, outputs: Arrays, scratch: Scratch) -> Calls:
    """Lower h = tanh(x + h recurrent).

    Args:
        inputs: x [T, B, U], recurrent [U, U], h0 [B, U], mask bool [T, B].
        outputs: h [T, B, U].
        scratch: (shape, dtype) -> working memory.
    """
    x, recurrent, h0, mask = inputs
    (h,) = outputs
    step, scratch = simple_rnn_step[x.dtype], functools.cache(scratch)
    calls: Calls = []
    for t in range(len(x)):
        h_before = h[t - 1] if t else h0
        calls += matmul(h_before, recurrent, h[t], scratch=scratch)
        calls.append((step, (x[t], h_before, mask[t], h[t])))
    return calls


def simple_rnn_gradient(inputs: Arrays, outputs: Arrays, scratch: Scratch) -> Calls:
    """Lower the derivative of `simple_rnn_forward`.

    Args:
        inputs: The gradient of h [T, B, U]; recurrent, h0, mask, h.
        outputs: The gradients of x, recurrent and h0.
        scratch: (shape, dtype) -> working memory.
    """
    g, recurrent, h0, mask, h = inputs
    dx, d_recurrent, dh0 = outputs
    carry, kept, calls, carry_back = _backwards(recurrent, h0, scratch)
    step = simple_rnn_step_gradient[g.dtype]
    for t in reversed(range(len(g))):
        calls.append((step, (g[t], h[t], mask[t], carry, kept, dx[t])))
        calls += carry_back(dx[t])
    calls.append((np.add, (carry, kept, dh0)))
    return calls + _recurrent_gradient(h0, h, dx, d_recurrent, scratch)


@kernel("void({t}[:, ::1], {t}[:, ::1], boolean[::1], {t}[:, ::1])")
def simple_rnn_step(x, h_before, mask, h):
    """One step; h holds h_before @ recurrent, and the new state afterwards."""
    for n in range(h.shape[0]):
        row, added, old = h[n], x[n], h_before[n]
        if mask[n]:
            _tanh_of_sum(row, added)
        else:
            row[:] = old


@kernel("void({t}[:, ::1], {t}[:, ::1], boolean[::1], {t}[:, ::1], {t}[:, ::1], {t}[:, ::1])")
def simple_rnn_step_gradient(g, h, mask, carry, kept, dx):
    """As `lstm_step_gradient`."""
    one = g.dtype.type(1)
    for n in range(g.shape[0]):
        dh, state, out = kept[n], h[n], dx[n]
        _add_to(dh, g[n], carry[n])
        if mask[n]:
            for u in range(dh.size):
                out[u] = dh[u] * (one - state[u] * state[u])
            dh[:] = 0
        else:
            out[:] = 0


# --- what they share


@inlined
def _sigmoid_of_sum(total, added):
    for j in range(total.size):
        total[j] = vmath.sigmoid(total[j] + added[j])


@inlined
def _tanh_of_sum(total, added):
    for j in range(total.size):
        total[j] = vmath.tanh(total[j] + added[j])


@inlined
def _add_to(total, a, b):
    for u in range(total.size):
        total[u] += a[u] + b[u]


def _backwards(recurrent: np.ndarray, h0: np.ndarray, scratch: Scratch) -> tuple:
    """The two parts in which h's gradient goes from step to step, what fills them at first, and what lowers

    carry = product[t] @ recurrent^T
    """
    turned = scratch(recurrent.shape[::-1], recurrent.dtype)
    carry, kept = scratch(h0.shape, h0.dtype), scratch(h0.shape, h0.dtype)
    turn = (transpose_matrices[recurrent.dtype], (recurrent[np.newaxis], turned[np.newaxis]))
    lower = functools.partial(matmul, b=turned, out=carry, scratch=functools.cache(scratch))
    return carry, kept, [turn, (carry.fill, (0,)), (kept.fill, (0,))], lower


def _recurrent_gradient(h0: np.ndarray, h: np.ndarray, product: np.ndarray, out: np.ndarray, scratch: Scratch) -> Calls:
    """out = the sum over t of h[t-1]^T product[t]: one product over all samples and steps but the first."""
    first = scratch(out.shape, out.dtype)
    return [
        *matmul(as_matrix(h[:-1]), as_matrix(product[1:]), out, transpose_a=True, scratch=scratch),
        *matmul(h0, product[0], first, transpose_a=True, scratch=scratch),
        (np.add, (out, first, out)),
    ]
