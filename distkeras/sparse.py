"""`tf.sparse`: tensors of which only the elements that are not zero are kept."""

from distkeras.core.sparse_tensor import SparseTensor
from distkeras.ops.sparse import from_dense, reorder, reshape, sparse_dense_matmul, to_dense

__all__ = ["SparseTensor", "from_dense", "reorder", "reshape", "sparse_dense_matmul", "to_dense"]


def __getattr__(name: str) -> None:
    raise AttributeError(
        f"tf.sparse has no {name!r}; there are {', '.join(__all__)}. Others work on dense tensors: tf.sparse.to_dense."
    )
