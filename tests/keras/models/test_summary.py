"""The table that `summary` prints, to the character."""

from __future__ import annotations

import pytest

import distkeras as tf
from distkeras.keras.layers import naming

L, keras = tf.keras.layers, tf.keras


@pytest.fixture(autouse=True)
def fresh_names():
    naming.reset_uids()


def text_of(model, **options):
    lines = []
    model.summary(print_fn=lines.append, **options)
    return "\n".join(line.rstrip() for line in lines), lines


CHAIN = """\
Model: "sequential"
_________________________________________________________________
Layer (type)                 Output Shape              Param #
=================================================================
conv2d (Conv2D)              (None, 26, 26, 32)        320
_________________________________________________________________
max_pooling2d (MaxPooling2D) (None, 13, 13, 32)        0
_________________________________________________________________
batch_normalization (BatchNo (None, 13, 13, 32)        128
_________________________________________________________________
flatten (Flatten)            (None, 5408)              0
_________________________________________________________________
dense (Dense)                (None, 1000)              5409000
=================================================================
Total params: 5,409,448
Trainable params: 5,409,384
Non-trainable params: 64
_________________________________________________________________"""


def test_a_stack():
    model = keras.Sequential(
        [
            L.Conv2D(32, 3, input_shape=(28, 28, 1)),
            L.MaxPooling2D(),
            L.BatchNormalization(),
            L.Flatten(),
            L.Dense(1000),
        ]
    )
    text, lines = text_of(model)
    assert text == CHAIN
    assert {len(line) for line in lines if not line.startswith(("Model", "Total", "Train", "Non"))} == {65}


GRAPH = """\
Model: "model"
__________________________________________________________________________________________________
Layer (type)                    Output Shape         Param #     Connected to
==================================================================================================
input_1 (InputLayer)            [(None, 3)]          0
__________________________________________________________________________________________________
dense (Dense)                   (None, 4)            16          input_1[0][0]
__________________________________________________________________________________________________
input_2 (InputLayer)            [(None, 4)]          0
__________________________________________________________________________________________________
add (Add)                       (None, 4)            0           dense[0][0]
                                                                 input_2[0][0]
__________________________________________________________________________________________________
dense_1 (Dense)                 (None, 2)            10          add[0][0]
==================================================================================================
Total params: 26
Trainable params: 26
Non-trainable params: 0
__________________________________________________________________________________________________"""


def test_a_graph():
    x, y = keras.Input((3,)), keras.Input((4,))
    joined = L.Add()([L.Dense(4)(x), y])
    model = keras.Model([x, y], L.Dense(2)(joined))
    assert text_of(model)[0] == GRAPH


OWN = """\
Model: "own"
_________________________________________________________________
Layer (type)                 Output Shape              Param #
=================================================================
dense (Dense)                multiple                  8
_________________________________________________________________
dense_1 (Dense)              multiple                  0 (unused)
=================================================================
Total params: 8
Trainable params: 8
Non-trainable params: 0
_________________________________________________________________"""


def test_a_model_of_ones_own():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.used, self.unused = L.Dense(2), L.Dense(2)

        def call(self, inputs):
            return self.used(inputs)

    model = Own()
    with pytest.raises(ValueError, match="has not yet been built"):
        model.summary()
    model.build((None, 3))
    assert text_of(model)[0] == OWN


def test_width_and_columns():
    model = keras.Sequential([L.Dense(2, input_shape=(3,))])
    _, lines = text_of(model, line_length=40, positions=[0.5, 0.8, 1.0])
    assert lines[3] == "=" * 40
    assert lines[4] == "dense (Dense)       (None, 2)   8       "
    _, lines = text_of(model, line_length=30, positions=[15, 25, 30])
    assert lines[4] == "dense (Dense)  (None, 2) 8    "


def test_it_prints_by_default(capsys):
    keras.Sequential([L.Dense(2, input_shape=(3,))]).summary()
    assert capsys.readouterr().out.startswith('Model: "sequential"\n____')


def test_shared_layers_are_not_a_chain():
    x = keras.Input((3,))
    layer = L.Dense(3)
    text, _ = text_of(keras.Model(x, layer(layer(x))))
    assert "Connected to" in text and "dense[0][0]" in text


NESTED = """\
Model: "outer"
__________________________________________________________________________________________________
Layer (type)                    Output Shape         Param #     Connected to
==================================================================================================
first (InputLayer)              [(None, 3)]          0
__________________________________________________________________________________________________
inner (Sequential)              (None, 2)            14          first[0][0]
__________________________________________________________________________________________________
split (Model)                   [(None, 1), (None, 2 4           first[0][0]
                                                                 inner[1][0]
__________________________________________________________________________________________________
shared (Dense)                  (None, 2)            6           inner[1][0]
                                                                 split[1][1]
__________________________________________________________________________________________________
joined (Concatenate)            (None, 5)            0           split[1][0]
                                                                 shared[0][0]
                                                                 shared[1][0]
==================================================================================================
Total params: 24
Trainable params: 10
Non-trainable params: 14
__________________________________________________________________________________________________"""


def test_models_in_models_and_shared_layers():
    first = keras.Input((3,), name="first")
    inner = keras.Sequential([L.Dense(2, input_shape=(3,)), L.Dense(2)], name="inner")
    inner.trainable = False
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    split = keras.Model([a, b], [L.Dense(1)(a), L.Add()([b, b])], name="split")
    middle, shared = inner(first), L.Dense(2, name="shared")
    left, right = split([first, middle])
    joined = L.Concatenate(name="joined")([left, shared(middle), shared(right)])
    assert text_of(keras.Model(first, joined, name="outer"))[0] == NESTED


STATES = """\
Model: "states"
_________________________________________________________________
Layer (type)                 Output Shape              Param #
=================================================================
x (InputLayer)               [(None, None, 3)]         0
_________________________________________________________________
last (WithStates)            [(None, 3), (None, 3), (N 0
=================================================================
Total params: 0
Trainable params: 0
Non-trainable params: 0
_________________________________________________________________"""


def test_layers_that_return_lists():
    class WithStates(L.Layer):
        def call(self, inputs):
            last = inputs[:, -1]
            return [last, last * 1.0, last * 2.0]

    x = keras.Input((None, 3), name="x")
    assert text_of(keras.Model(x, WithStates(name="last")(x), name="states"))[0] == STATES


def test_layers_that_give_several_shapes():
    flatten = L.Flatten(name="flat")
    a, b = keras.Input((2, 3), name="a"), keras.Input((4,), name="b")
    text, _ = text_of(keras.Model([a, b], [flatten(a), flatten(b)]))
    assert [line.split() for line in text.splitlines() if line.startswith("flat")] == [
        ["flat", "(Flatten)", "multiple", "0", "a[0][0]"]
    ]


def test_frozen_weights_are_counted_apart():
    model = keras.Sequential([L.Dense(2, input_shape=(3,)), L.BatchNormalization()])
    model.layers[0].trainable = False
    assert text_of(model)[1][-4:-1] == ["Total params: 16", "Trainable params: 4", "Non-trainable params: 12"]
