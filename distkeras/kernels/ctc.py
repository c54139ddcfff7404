"""Connectionist temporal classification: the probability of a labelling, summed over all its alignments.

A labelling of L classes is extended to S = 2 L + 1 states: a blank before, between and after its labels. An alignment
steps through the states in order; it may stay in one, go on to the next, and skip a blank between different labels.
"""

from __future__ import annotations

import math

from distkeras.kernels.compile import inlined, kernel


@inlined
def _log_add(a, b):
    """log(exp(a) + exp(b))."""
    high, low = max(a, b), min(a, b)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


@inlined
def _label(labels, blank, state):
    """The class that a state emits."""
    return labels[state // 2] if state % 2 else blank


@inlined
def _may_skip(labels, state):
    """Whether a state can follow the one two before it."""
    return state % 2 == 1 and state >= 3 and labels[state // 2] != labels[state // 2 - 1]


@inlined
def _forward(log_probabilities, row, states, length, b, blank, alpha):
    """alpha[t, s] = log of the probability of all ways to be in state s after step t; returns that of the whole."""
    for s in range(states):
        alpha[0, s] = log_probabilities[0, b, _label(row, blank, s)] if s < 2 else -math.inf
    for t in range(1, length):
        for s in range(states):
            total = alpha[t - 1, s]
            if s >= 1:
                total = _log_add(total, alpha[t - 1, s - 1])
            if _may_skip(row, s):
                total = _log_add(total, alpha[t - 1, s - 2])
            alpha[t, s] = total + log_probabilities[t, b, _label(row, blank, s)]
    whole = alpha[length - 1, states - 1]
    return whole if states == 1 else _log_add(whole, alpha[length - 1, states - 2])


@inlined
def _backward(log_probabilities, row, states, length, b, blank, alpha, whole, beta, following, occupancy):
    """occupancy[t, b, k] += the part of the whole that is in a state of class k after step t.

    beta[s] = log of the probability of all ways to go on from state s, for one step after the other.
    """
    for s in range(states):
        beta[s] = 0.0 if s >= states - 2 else -math.inf
    for t in range(length - 1, -1, -1):
        for s in range(states):
            part = alpha[t, s] + beta[s] - whole
            if part > -math.inf:
                occupancy[t, b, _label(row, blank, s)] += math.exp(part)
        for s in range(states):
            following[s] = beta[s] + log_probabilities[t, b, _label(row, blank, s)]
        for s in range(states):
            total = following[s]
            if s + 1 < states:
                total = _log_add(total, following[s + 1])
            if s + 2 < states and _may_skip(row, s + 2):
                total = _log_add(total, following[s + 2])
            beta[s] = total


@kernel("void({t}[:, :, ::1], int32[:, ::1], int32[::1], int32[::1], int64, float64[:, ::1], {t}[::1], {t}[:, :, ::1])")
def ctc(log_probabilities, labels, label_lengths, lengths, blank, room, losses, occupancy):
    """losses[b] = -log p(labels[b]); occupancy[t, b, k] = the part of p that emits k at step t, 0 past lengths[b].

    log_probabilities and occupancy are [steps, batch, classes], labels [batch, at most L]; `room` is for working in,
    [steps + 2, 2 L + 1]. Where no alignment fits into lengths[b] steps, the loss is inf and the occupancy 0.
    """
    steps, batch, classes = log_probabilities.shape
    for t in range(steps):
        for b in range(batch):
            for k in range(classes):
                occupancy[t, b, k] = 0
    for b in range(batch):
        states, length, row = 2 * label_lengths[b] + 1, lengths[b], labels[b]
        whole = 0.0 if states == 1 else -math.inf
        if length > 0:
            whole = _forward(log_probabilities, row, states, length, b, blank, room)
        losses[b] = -whole
        if length > 0 and whole > -math.inf:
            beta, following = room[steps], room[steps + 1]
            _backward(log_probabilities, row, states, length, b, blank, room, whole, beta, following, occupancy)
