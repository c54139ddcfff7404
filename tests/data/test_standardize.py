import numpy as np
import pytest

from distkeras.data.standardize import Signature, Slot, class_weights_of, combine_weights

ONE = Signature(
    inputs=(Slot("features", (None, 3)),), targets=(Slot("score"),), outputs=("score",), weight_modes=(None,)
)
TWO = Signature(
    inputs=(Slot("left", (None, 2)), Slot("right", (None, None))),
    targets=(Slot("price"), Slot("kind")),
    outputs=("price", "kind", "embedding"),
    weight_modes=(None, None),
)
X, Y = np.ones((4, 3)), np.arange(4)
LEFT, RIGHT = np.ones((4, 2)), np.zeros((4, 5))


def test_targets_of_one_number_become_rows():
    x, y, sample_weight = ONE.standardize(X, Y)
    assert x is X and y.shape == (4, 1) and sample_weight is None


def test_vectors_stay_where_the_input_is_a_vector():
    signature = Signature(inputs=(Slot("ids", (None,)),), targets=(Slot("out", (None,)),))
    x, y, _ = signature.standardize(Y, Y)
    assert x.shape == (4,) and y.shape == (4,)
    assert Signature().standardize(Y)[0].shape == (4, 1)


def test_nested_lists_of_numbers_are_arrays():
    x, y, _ = ONE.standardize([[1, 2, 3], [4, 5, 6]], [0, 1])
    np.testing.assert_array_equal(x, [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(y, [[0], [1]])


@pytest.mark.parametrize(
    "x", [[LEFT, RIGHT], (LEFT, RIGHT), {"right": RIGHT, "left": LEFT}], ids=["list", "tuple", "dict"]
)
def test_several_inputs_in_their_order(x):
    left, right = TWO.standardize(x, [Y, Y])[0]
    assert left is LEFT and right is RIGHT


def test_targets_by_name_may_mention_outputs_without_a_loss():
    targets = TWO.standardize([LEFT, RIGHT], {"kind": Y, "price": Y * 2, "embedding": LEFT})[1]
    np.testing.assert_array_equal(targets[0], Y[:, None] * 2)


def test_models_without_named_inputs_take_any_structure():
    x = {"a": Y, "b": (LEFT, [RIGHT])}
    standardized = Signature(targets=()).standardize(x)[0]
    assert standardized["a"].shape == (4, 1)
    assert standardized["b"][0] is LEFT and standardized["b"][1][0] is RIGHT


@pytest.mark.parametrize(
    ("signature", "arguments", "message"),
    [
        (ONE, (np.ones((4, 2)), Y), r"expected features to have shape \(3,\) but got array with shape \(2,\)"),
        (ONE, (np.ones((4, 3, 1)), Y), "expected features to have 3 dimensions|expected features to have 2 dimensions"),
        (ONE, ([X, X], Y), "expected 1 array"),
        (ONE, (X, [Y, Y]), "expected 1 array"),
        (ONE, (X, None), "no targets were given"),
        (ONE, ({"feature": X}, Y), r"No data provided for \['features'\]"),
        (ONE, ({"features": X, "extra": X}, Y), r"Unknown entries in the dictionary of input data: \['extra'\]"),
        (TWO, ([LEFT], [Y, Y]), "expected 2 array"),
        (TWO, ([LEFT, RIGHT, RIGHT], [Y, Y]), "expected 2 array"),
        (TWO, ([LEFT, RIGHT], Y), "expected 2 array"),
        (TWO, ([LEFT, None], [Y, Y]), "no data was given for 'right'"),
        (TWO, ([LEFT, RIGHT], {"price": Y}), r"No data provided for \['kind'\]"),
        (TWO, ([LEFT, RIGHT], {"price": Y, "kind": Y, "sort": Y}), r"Unknown entries .*\['sort'\]"),
        (ONE, (X, Y[:3]), "Found 4 input samples and 3 target samples"),
        (ONE, (X[:0], Y[:0]), "0 samples"),
        (ONE, (X.astype(str), Y), "expected an array of numbers"),
        (Signature(targets=()), (X, Y), "no output has a loss"),
    ],
)
def test_data_that_does_not_fit(signature, arguments, message):
    with pytest.raises(ValueError, match=message):
        signature.standardize(*arguments)


# --- weights


def test_sample_weights_in_every_form():
    weights = np.arange(4.0)
    for given in (weights, [weights], weights.tolist(), {"score": weights}):
        np.testing.assert_array_equal(ONE.standardize(X, Y, given)[2], weights)


def test_sample_weights_of_some_outputs():
    weights = np.arange(4.0)
    for given in ({"kind": weights}, [None, weights]):
        price, kind = TWO.standardize([LEFT, RIGHT], [Y, Y], given)[2]
        assert price is None and kind is weights


def test_class_weights_of_some_outputs():
    price, kind = TWO.standardize([LEFT, RIGHT], [Y, Y], None, {"kind": {0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0}})[2]
    assert price is None and kind.tolist() == [1.0, 2.0, 3.0, 4.0]


def test_sample_and_class_weights_multiply():
    by_class = {0: 1.0, 1: 10.0}
    classes = np.array([[0], [1], [1]])
    assert combine_weights(classes, np.array([2.0, 3.0, 0.0]), by_class, None).tolist() == [2.0, 30.0, 0.0]
    assert combine_weights(classes, None, by_class, None).tolist() == [1.0, 10.0, 10.0]
    assert combine_weights(classes, None, None, None) is None


@pytest.mark.parametrize(
    "y", [np.array([1, 0, 2]), np.array([[1], [0], [2]]), np.eye(3)[[1, 0, 2]], np.array([1.0, 0.0, 2.0])]
)
def test_class_weights_of_classes_and_one_hot_targets(y):
    assert class_weights_of(y, {0: 0.5, 1: 1.5, 2: 2.5}).tolist() == [1.5, 0.5, 2.5]


def test_weights_of_timesteps():
    y, weights = np.zeros((4, 5, 1)), np.ones((4, 5))
    assert combine_weights(y, weights, None, "temporal") is weights


@pytest.mark.parametrize(
    ("y", "sample_weight", "class_weight", "mode", "message"),
    [
        (np.zeros((4, 5, 1)), np.ones((4, 5)), None, None, 'specify sample_weight_mode="temporal"'),
        (np.zeros((4, 1)), np.ones((4, 1)), None, None, "expected one weight per sample"),
        (np.zeros((4, 1)), np.ones((4, 1)), None, "temporal", "at least 3D"),
        (np.zeros((4, 5, 1)), np.ones(4), None, "temporal", r"shape \(samples, timesteps\): \(4, 5\)"),
        (np.zeros((4, 5, 1)), np.ones((4, 6)), None, "temporal", r"Expected shape \(4, 5\)"),
        (np.zeros((4, 5, 1)), np.ones((4, 5)), {0: 1.0}, "temporal", "cannot be combined"),
        (np.zeros((4, 1)), np.ones(3), None, None, r"Expected shape \(4,\)"),
        (np.array([0, 3]), None, {0: 1.0, 1: 2.0}, None, r"The classes \[3\] exist in the data"),
        (np.zeros((4, 5, 1)), None, {0: 1.0}, None, "3 or more dimensions"),
        (np.zeros((4, 1)), np.array(["a"] * 4), None, None, "expected an array of numbers"),
    ],
)
def test_weights_that_do_not_fit(y, sample_weight, class_weight, mode, message):
    with pytest.raises(ValueError, match=message):
        combine_weights(y, sample_weight, class_weight, mode)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ({"sample_weight": np.ones(4)}, TypeError, "several outputs"),
        ({"sample_weight": [np.ones(4)] * 3}, ValueError, "3 entries for the 2 outputs"),
        ({"sample_weight": {"kind": np.ones(4), "sort": np.ones(4)}}, ValueError, r"Unknown entries .*\['sort'\]"),
        ({"class_weight": {0: 1.0}}, TypeError, "several outputs"),
        ({"class_weight": {"kind": [1.0, 2.0]}}, TypeError, "must be a dict of class -> weight"),
    ],
)
def test_weights_that_do_not_say_whose_they_are(weights, error, message):
    with pytest.raises(error, match=message):
        TWO.standardize([LEFT, RIGHT], [Y, Y], **weights)


def test_weights_without_targets():
    with pytest.raises(ValueError, match="there are no targets"):
        Signature(targets=()).standardize(X, None, np.ones(4))
