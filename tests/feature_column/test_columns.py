"""Feature columns against TensorFlow's, in layers, in models that are trained, in configs and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import distkeras as tf
from distkeras.testing import run_ranks
from tests.feature_column.cases import FEATURES, columns, joined

fc = tf.feature_column
layers = tf.keras.layers
RECORDED = dict(np.load(Path(__file__).parent / "data" / "columns.npz"))


@pytest.mark.parametrize("name", columns(tf))
def test_values_are_those_of_tensorflow(name):
    layer = layers.DenseFeatures(columns(tf)[name])
    features = {key: tf.constant(value) for key, value in FEATURES.items()}
    np.testing.assert_allclose(layer(features), RECORDED[name], rtol=1e-6)
    np.testing.assert_array_equal(tf.function(layer)(features), layer(features))


def test_columns_are_joined_in_the_order_of_their_names():
    layer, made = layers.DenseFeatures(joined(tf)), {}
    np.testing.assert_allclose(layer(FEATURES, cols_to_output_tensors=made), RECORDED["joined"], rtol=1e-6)
    assert len(made) == 6 and sum(value.shape[1] for value in made.values()) == RECORDED["joined"].shape[1]
    assert layer.compute_output_shape({"age": (None, 1)}) == (None, RECORDED["joined"].shape[1])
    assert [weight.name for weight in layer.weights] == [f"{layer.name}/words_embedding/embedding_weights:0"]


def test_texts_as_bytes_vectors_and_sparse_tensors():
    words = fc.categorical_column_with_vocabulary_list("w", ["a", "b"])
    layer = layers.DenseFeatures([fc.indicator_column(words)])
    expected = [[1.0, 0.0], [0.0, 1.0]]
    assert layer({"w": np.array([b"a", b"b"])}).numpy().tolist() == expected
    assert layer({"w": [["a"], ["b"]]}).numpy().tolist() == expected
    sparse = tf.SparseTensor([[0, 0], [0, 1], [1, 0]], ["b", "b", "zzz"], [3, 2])
    assert layer({"w": sparse}).numpy().tolist() == [[0.0, 2.0], [0.0, 0.0], [0.0, 0.0]]


def test_shared_tables_have_one_gradient():
    pair = [fc.categorical_column_with_identity(name, 3) for name in ("query", "answer")]
    made = fc.shared_embeddings(pair, 2, initializer="ones")
    layer = layers.DenseFeatures(made)
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(layer({"query": [0, 1], "answer": [1, -1]}))
    (table,) = layer.trainable_weights
    assert table.name == f"{layer.name}/answer_query_shared_embedding:0" and table.shape == (3, 2)
    assert tf.convert_to_tensor(tape.gradient(y, table)).numpy().tolist() == [[1, 1], [2, 2], [0, 0]]


def test_vocabularies_from_files(tmp_path):
    (tmp_path / "words.txt").write_text("a\nb\nc\n")
    column = fc.categorical_column_with_vocabulary_file("w", str(tmp_path / "words.txt"), 2, default_value=0)
    layer = layers.DenseFeatures([fc.indicator_column(column)])
    assert layer({"w": ["b", "c"]}).numpy().tolist() == [[0.0, 1.0], [1.0, 0.0]]
    with pytest.raises(ValueError, match="has 3 lines"):
        fc.categorical_column_with_vocabulary_file("w", str(tmp_path / "words.txt"), 4)


def dataset(batch_size=16, count=64):
    random = np.random.default_rng(0)
    cities = np.array(["Rome", "Oslo", "Lima"])[random.integers(0, 3, count)]
    ages = random.uniform(10, 80, count).astype(np.float32)
    target = (cities == "Oslo").astype(np.float32) + ages / 80
    return tf.data.Dataset.from_tensor_slices(({"city": cities, "age": ages}, target)).batch(batch_size)


def city_columns():
    tf.random.set_seed(1)
    city = fc.categorical_column_with_vocabulary_list("city", ["Rome", "Oslo", "Lima"])
    age = fc.numeric_column("age", normalizer_fn=scaled)
    crossed = fc.crossed_column([fc.bucketized_column(age, [0.2, 0.5]), "city"], 8)
    return [age, fc.indicator_column(city), fc.embedding_column(city, 2), fc.indicator_column(crossed)]


def scaled(x):
    return x / 80.0


def sequential(**options):
    model = tf.keras.Sequential([layers.DenseFeatures(city_columns()), layers.Dense(4, "relu"), layers.Dense(1)])
    model.compile(tf.keras.optimizers.Adam(0.02), "mse", **options)
    return model


def test_models_are_trained_on_texts_alike_step_by_step_and_compiled():
    histories = []
    for eagerly in (True, False):
        model = sequential(run_eagerly=eagerly)
        histories.append(model.fit(dataset(), epochs=3, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(*histories, rtol=1e-5)
    assert histories[0][-1] < 0.7 * histories[0][0]
    model = sequential(run_eagerly=False)
    arrays = {"city": np.array(["Rome", "Oslo"]), "age": np.array([20.0, 30.0])}
    assert model.fit(arrays, np.zeros(2), verbose=0).epoch == [0] and model.predict(arrays).shape == (2, 1)
    assert model.evaluate(arrays, np.zeros(2), verbose=0) >= 0


def functional():
    inputs = {"city": tf.keras.Input((1,), dtype="string", name="city"), "age": tf.keras.Input((1,), name="age")}
    return tf.keras.Model(inputs, layers.Dense(1)(layers.DenseFeatures(city_columns(), name="features")(inputs)))


def test_functional_models_and_their_files(tmp_path):
    model = functional()
    model.compile("sgd", "mse", run_eagerly=False)
    model.fit(dataset(), epochs=1, verbose=0)
    expected = model.predict(dataset())
    model.save(tmp_path / "model.h5")
    again = tf.keras.models.load_model(tmp_path / "model.h5", custom_objects={"scaled": scaled})
    np.testing.assert_allclose(again.predict(dataset()), expected, rtol=1e-6)
    with pytest.raises(ValueError, match="received one of dtype"):
        model.predict({"city": np.array(["Rome"]), "age": np.array(["x"])})


def test_two_ranks_train_what_one_process_trains():
    program = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})
import distkeras as tf
from tests.feature_column.test_columns import dataset, sequential
with tf.distribute.MirroredStrategy().scope():
    model = sequential()
losses = model.fit(dataset(), epochs=2, shuffle=False, verbose=0).history["loss"]
if model.distribute_strategy.rank == 0:
    print("losses", *losses)
"""
    found = [run_ranks(ranks, program, timeout=300).check().stdout.split("losses")[1].split() for ranks in (1, 2)]
    np.testing.assert_allclose(*(np.array(part[:2], float) for part in found), rtol=1e-5)


def test_sequences():
    words = fc.sequence_categorical_column_with_vocabulary_list("words", ["a", "b"])
    layer = tf.keras.experimental.SequenceFeatures(
        [fc.indicator_column(words), fc.sequence_numeric_column("x", default_value=-1.0)]
    )
    x = tf.SparseTensor([[0, 0], [0, 1], [1, 0]], [5.0, 6.0, 7.0], [2, 3])
    values, lengths = layer({"words": [["a", "b", "a"], ["b", "", ""]], "x": x})
    assert lengths.numpy().tolist() == [3, 1]
    assert values.numpy()[0].tolist() == [[1, 0, 5], [0, 1, 6], [1, 0, -1]]
    assert values.numpy()[1].tolist() == [[0, 1, 7], [0, 0, -1], [0, 0, -1]]
    embedded = tf.keras.experimental.SequenceFeatures(fc.embedding_column(words, 3))
    values, _ = embedded({"words": tf.sparse.from_dense([["a", "b"], ["b", ""]])})
    assert values.shape == (2, 2, 3) and not values.numpy()[1, 1].any()
    with pytest.raises(ValueError, match="is a sequence column"):
        layers.DenseFeatures(fc.indicator_column(words))({"words": [["a"]]})
    with pytest.raises(ValueError, match="is no sequence column"):
        tf.keras.experimental.SequenceFeatures(fc.numeric_column("x"))({"x": [1.0]})


def test_examples_are_read_for_columns():
    age, city = fc.numeric_column("age", shape=2), fc.categorical_column_with_hash_bucket("city", 5)
    spec = fc.make_parse_example_spec([age, fc.indicator_column(city), fc.crossed_column(["city", "sex"], 3)])
    assert spec == {
        "age": tf.io.FixedLenFeature((2,), tf.float32),
        "city": tf.io.VarLenFeature(tf.string),
        "sex": tf.io.VarLenFeature(tf.string),
    }
    with pytest.raises(ValueError, match="must be FeatureColumn instances"):
        fc.make_parse_example_spec(["age"])
    with pytest.raises(ValueError, match="different parse_spec"):
        fc.make_parse_example_spec([age, fc.numeric_column("age")])


AGE = fc.numeric_column("age")
CITY = fc.categorical_column_with_identity("city", 3)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: fc.numeric_column(3), ValueError, "key must be a string"),
        (lambda: fc.numeric_column("x", 0), ValueError, "greater than 0"),
        (lambda: fc.numeric_column("x", dtype="string"), ValueError, "convertible to float"),
        (lambda: fc.numeric_column("x", default_value="1"), TypeError, "default_value must be a number"),
        (lambda: fc.numeric_column("x", normalizer_fn=3), TypeError, "must be a callable"),
        (lambda: fc.bucketized_column("x", [1]), ValueError, "generated with numeric_column"),
        (lambda: fc.bucketized_column(fc.numeric_column("x", (2, 2)), [1]), ValueError, "one-dimensional"),
        (lambda: fc.bucketized_column(AGE, [2, 1]), ValueError, "sorted list"),
        (lambda: fc.categorical_column_with_vocabulary_list("x", []), ValueError, "non-empty"),
        (lambda: fc.categorical_column_with_vocabulary_list("x", ["a", "a"]), ValueError, r"Duplicate keys.*'a'"),
        (lambda: fc.categorical_column_with_vocabulary_list("x", [0.5]), ValueError, "texts or integers"),
        (
            lambda: fc.categorical_column_with_vocabulary_list("x", ["a"], default_value=0, num_oov_buckets=1),
            ValueError,
            "Can't specify both",
        ),
        (lambda: fc.categorical_column_with_vocabulary_list("x", ["a"], default_value=1), ValueError, "must be -1 or"),
        (lambda: fc.categorical_column_with_hash_bucket("x", 0), ValueError, "at least 1"),
        (lambda: fc.categorical_column_with_hash_bucket("x", 2, "float32"), ValueError, "string or integer"),
        (lambda: fc.categorical_column_with_identity("x", 0), ValueError, "num_buckets 0 < 1"),
        (lambda: fc.categorical_column_with_identity("x", 2, 2), ValueError, "not in range"),
        (lambda: fc.weighted_categorical_column(CITY, "w", "string"), ValueError, "not convertible to float"),
        (lambda: fc.crossed_column(["a"], 10), ValueError, "length > 1"),
        (lambda: fc.crossed_column(["a", AGE], 10), ValueError, "Unsupported key type"),
        (
            lambda: fc.crossed_column(["a", fc.categorical_column_with_hash_bucket("b", 2)], 10),
            ValueError,
            "increase probability of collision",
        ),
        (lambda: fc.crossed_column(["a", "b"], 0), ValueError, "hash_bucket_size must be"),
        (lambda: fc.indicator_column(AGE), ValueError, "Input must be a CategoricalColumn"),
        (lambda: fc.embedding_column(CITY, 0), ValueError, "Invalid dimension 0"),
        (lambda: fc.embedding_column(CITY, 2, combiner="max"), ValueError, "received 'max'"),
        (lambda: fc.embedding_column(CITY, 2, ckpt_to_load_from="x"), ValueError, "load_variable"),
        (
            lambda: fc.shared_embeddings([CITY, fc.categorical_column_with_identity("b", 4)], 2),
            ValueError,
            "same type and number of buckets",
        ),
        (lambda: layers.DenseFeatures([CITY]), ValueError, "You can wrap a categorical column"),
        (lambda: layers.DenseFeatures([]), ValueError, "must not be empty"),
        (lambda: layers.DenseFeatures({"a": AGE}), ValueError, "Expected feature_columns to be a list"),
        (lambda: layers.DenseFeatures([AGE, AGE]), ValueError, r"Duplicate feature column name found: \['age'\]"),
        (lambda: layers.DenseFeatures([AGE])([1.0]), ValueError, "We expected a dictionary here"),
        (lambda: layers.DenseFeatures([AGE])({"x": [1.0]}), ValueError, r"Feature age is not in.*\['x'\]"),
        (lambda: layers.DenseFeatures([AGE])({"age": ["a"]}), ValueError, "must be a number"),
        (lambda: layers.DenseFeatures([AGE])({"age": [[1.0, 2.0]]}), ValueError, "Feature age has shape"),
        (
            lambda: layers.DenseFeatures([fc.indicator_column(CITY)])({"city": ["a"]}),
            ValueError,
            "dtype and tensor dtype must be compatible",
        ),
        (
            lambda: layers.DenseFeatures([fc.indicator_column(CITY)])({"city": [3]}),
            tf.errors.InvalidArgumentError,
            r"must be in \[0, 3\)",
        ),
        (lambda: tf.strings.to_hash_bucket_fast([1], 3), tf.errors.InvalidArgumentError, "expected texts"),
    ],
)
def test_bad_calls(call, error, message):
    with pytest.raises(error, match=message):
        call()
