"""Softmax and cross-entropy by their formulas, in float64 and one row at a time."""

import numpy as np


def softmax(x):
    out = np.empty(x.shape)
    for r, row in enumerate(x.astype(np.float64)):
        terms = np.exp(row - row.max())
        out[r] = terms / terms.sum()
    return out


def log_softmax(x):
    out = np.empty(x.shape)
    for r, row in enumerate(x.astype(np.float64)):
        out[r] = row - row.max() - np.log(np.exp(row - row.max()).sum())
    return out


def softmax_gradient(y, dy):
    out = np.empty(y.shape)
    for r in range(y.shape[0]):
        jacobian = np.diag(y[r].astype(np.float64)) - np.outer(y[r], y[r])
        out[r] = jacobian @ dy[r]
    return out


def log_softmax_gradient(y, dy):
    probabilities = np.exp(y.astype(np.float64))
    out = np.empty(y.shape)
    for r in range(y.shape[0]):
        out[r] = (np.eye(y.shape[1]) - probabilities[r]).T @ dy[r]
    return out


def cross_entropy(logits, targets):
    return -(np.where(targets == 0, 0, targets * log_softmax(logits))).sum(axis=1)


def cross_entropy_gradient(probabilities, targets, dlosses):
    out = np.empty(probabilities.shape)
    for r in range(len(targets)):
        out[r] = dlosses[r] * (probabilities[r] * targets[r].sum() - targets[r])
    return out


def kept_cross_entropy(probabilities, labels, low, high):
    kept = np.clip(probabilities.astype(np.float64), low, high)
    return np.array([-np.log(row[label] / row.sum()) for row, label in zip(kept, labels, strict=True)])


def kept_cross_entropy_gradient(probabilities, labels, dlosses, low, high):
    out = np.empty(probabilities.shape)
    for r, row in enumerate(probabilities.astype(np.float64)):
        kept = np.clip(row, low, high)
        slopes = 1 / kept.sum() - one_hot(labels[r], row.size) / kept
        out[r] = dlosses[r] * np.where(kept == row, slopes, 0)
    return out


def one_hot(labels, columns):
    return np.eye(columns)[labels]
