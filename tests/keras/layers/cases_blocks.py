"""Cases of normalisation, attention, layers around layers, and masks going through layers."""

from __future__ import annotations

from typing import Any

from tests.keras.layers.case import ROW, SEQUENCE, case


def inner(layer: str, /, **arguments: Any) -> dict[str, Any]:
    """A layer as an argument."""
    return {"layer": {"class_name": layer, "config": {"name": "inner", **arguments}}}


RANDOM = {"gamma_initializer": "random_uniform", "beta_initializer": "random_uniform"}
SMALL = (2, 4, 3, 2)
QUERY, VALUE = (4, 3, 6), (4, 5, 6)
CLIPPING = {"rmin": 0.5, "rmax": 1.5, "dmax": 0.3}

CASES = [
    case("LayerNormalization", {}, ROW),
    case("LayerNormalization", RANDOM, SEQUENCE, masked=(0,)),
    case("LayerNormalization", {"axis": 1, "epsilon": 1e-2}, SEQUENCE),
    case("LayerNormalization", {"axis": [1, 2]}, SMALL),
    case("LayerNormalization", {"axis": [3, 1], "scale": False}, SMALL),
    case("LayerNormalization", {"axis": -2, "center": False, "gamma_regularizer": "l2"}, SMALL),
    case("BatchNormalization", {"axis": [1, 2]}, SMALL, training=True),
    case("BatchNormalization", {"axis": [3, 1], "center": False}, SMALL, training=False),
    case("BatchNormalization", {"axis": 2}, SMALL, training=True),
    case("BatchNormalization", {}, SEQUENCE, masked=(0,)),
    case("BatchNormalization", {"renorm": True}, ROW, training=True),
    case("BatchNormalization", {"renorm": True, "renorm_momentum": 0.9, "renorm_clipping": CLIPPING}, SMALL,
         training=True),
    case("BatchNormalization", {"renorm": True, "axis": [1, 2]}, SEQUENCE, training=False),
    case("SyncBatchNormalization", {"momentum": 0.9}, SMALL, training=True),
    case("Attention", {}, QUERY, VALUE),
    case("Attention", {"use_scale": True}, QUERY, VALUE, VALUE, masked=(0, 1)),
    case("Attention", {}, SEQUENCE, SEQUENCE, masked=(1,)),
    case("AdditiveAttention", {}, QUERY, VALUE),
    case("AdditiveAttention", {"use_scale": False}, QUERY, VALUE, VALUE, masked=(0, 1)),
    case("MultiHeadAttention", {"num_heads": 2, "key_dim": 3}, QUERY, VALUE),
    case("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "value_dim": 2, "use_bias": False}, QUERY, VALUE,
         masked=(0, 1), use_causal_mask=True),
    case("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "output_shape": (3, 2)}, QUERY, VALUE, VALUE,
         masked=(2,)),
    case("MultiHeadAttention", {"num_heads": 1, "key_dim": 3, "attention_axes": (2,), "output_shape": 4},
         (2, 3, 4, 2), (2, 3, 2, 2)),
    case("MultiHeadAttention", {"num_heads": 2, "key_dim": 3}, (2, 3, 4, 2), (2, 2, 3, 2)),
    case("TimeDistributed", inner("Dense", units=2), SEQUENCE, masked=(0,)),
    case("TimeDistributed", inner("MaxPooling2D"), (2, 3, 4, 5, 2)),
    case("TimeDistributed", inner("BatchNormalization"), SEQUENCE, training=True),
    case("TimeDistributed", inner("TimeDistributed", **inner("Dense", units=2)), SMALL),
    case("TimeDistributed", inner("Masking", mask_value=0.5), SMALL),
    case("AlphaDropout", {"rate": 0.5}, SEQUENCE, masked=(0,)),
    case("SpatialDropout3D", {"rate": 0.5}, (2, 3, 4, 5, 2)),
    case("Dropout", {"rate": 0.5}, SEQUENCE, masked=(0,)),
    case("Dense", {"units": 2}, SEQUENCE, masked=(0,)),
    case("Activation", {"activation": "relu"}, SEQUENCE, masked=(0,)),
    case("PReLU", {}, SEQUENCE, masked=(0,)),
    case("ActivityRegularization", {"l1": 0.1}, SEQUENCE, masked=(0,)),
    case("Masking", {}, SEQUENCE, masked=(0,)),
    case("Flatten", {}, SEQUENCE, masked=(0,)),
    case("Reshape", {"target_shape": (3, 5)}, SEQUENCE, masked=(0,)),
    case("Permute", {"dims": (2, 1)}, SEQUENCE, masked=(0,)),
    case("GlobalAveragePooling1D", {}, SEQUENCE, masked=(0,)),
    case("Embedding", {"input_dim": 9, "output_dim": 3, "mask_zero": True, "embeddings_initializer": "ones",
                       "embeddings_regularizer": "l2", "embeddings_constraint": "non_neg"}, (4, 2, 3), integers=9),
    case("Embedding", {"input_dim": 9, "output_dim": 2, "activity_regularizer": "l2"}, (4, 5), integers=9),
    case("ReLU", {"negative_slope": 0.3, "threshold": 0.2}, ROW),
    case("Softmax", {"axis": -2}, SMALL),
    case("RepeatVector", {"n": 2}, ROW),
    case("BatchNormalization", {"beta_regularizer": "l2", "gamma_constraint": "non_neg", "fused": False}, SMALL,
         training=True),
    case("Add", {}, SEQUENCE, SEQUENCE, masked=(0, 1)),
    case("Multiply", {}, SEQUENCE, SEQUENCE, masked=(0, 1)),
    case("Average", {}, SEQUENCE, SEQUENCE, SEQUENCE, masked=(0, 1, 2)),
    case("Subtract", {}, SEQUENCE, SEQUENCE, masked=(0, 1)),
    case("Maximum", {}, SEQUENCE, SEQUENCE, masked=(0,)),
    case("Minimum", {}, SEQUENCE, SEQUENCE, masked=(0, 1)),
    case("Concatenate", {"axis": -1}, SEQUENCE, SEQUENCE, masked=(0, 1)),
    case("Concatenate", {"axis": 1}, SEQUENCE, (4, 2, 3), masked=(0, 1)),
    case("Dot", {"axes": (1, 1)}, SEQUENCE, SEQUENCE, masked=(0, 1)),
]  # fmt: skip
