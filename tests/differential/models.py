"""Models of the differential suite: functions of `tf.keras`, each a model; sizes are shared, so that kernels are.

Inputs are called `rows` [6], `steps` [5, 4], `masked` [5, 4] with padded steps, `words` [5] of 9, `picture` [6, 6, 2],
`volume` [3, 4, 4, 2].
"""

SHAPES = {"rows": (6,), "steps": (5, 4), "masked": (5, 4), "words": (5,), "picture": (6, 6, 2), "volume": (3, 4, 4, 2)}
MODELS = {}


def model(*inputs, units=3):
    """Register a body: (keras, input tensors) -> a tensor; flattened, with a Dense on it, it makes the output."""

    def register(body):
        def build(keras, activation=None, outputs=units):
            layers = keras.layers
            tensors = [layers.Input(SHAPES[kind], name=f"{kind}_{index}") for index, kind in enumerate(inputs)]
            features = body(keras, *tensors)
            if len(features.shape) > 2:
                features = layers.Flatten(name="flat")(features)
            out = layers.Dense(outputs, activation=activation, name="out")(features)
            return keras.Model(tensors, out, name=body.__name__)

        MODELS[body.__name__] = (inputs, build)
        return body

    return register


# --- rows


@model("rows")
def linear(keras, x):
    return x


@model("rows")
def perceptron(keras, x):
    return keras.layers.Dense(7, activation="tanh")(x)


@model("rows")
def deep_relu(keras, x):
    for i in range(3):
        x = keras.layers.Dense(7, activation="relu", name=f"hidden_{i}")(x)
    return x


@model("rows")
def without_biases(keras, x):
    return keras.layers.Dense(7, use_bias=False, activation="sigmoid")(x)


@model("rows")
def regularized(keras, x):
    l1_l2, l2 = keras.regularizers.l1_l2(0.01, 0.02), keras.regularizers.l2(0.05)
    layer = keras.layers.Dense(7, "tanh", kernel_regularizer=l1_l2, bias_regularizer="l2", activity_regularizer=l2)
    return keras.layers.ActivityRegularization(l1=0.01)(layer(x))


@model("rows")
def constrained(keras, x):
    constraint = keras.constraints.MinMaxNorm(0.2, 0.7, rate=0.5, axis=0)
    x = keras.layers.Dense(7, "tanh", kernel_constraint=keras.constraints.MaxNorm(0.8), bias_constraint="non_neg")(x)
    return keras.layers.Dense(5, kernel_constraint=constraint, bias_constraint="unit_norm")(x)


@model("rows")
def normalized(keras, x):
    x = keras.layers.BatchNormalization(momentum=0.7, epsilon=0.01)(x)
    return keras.layers.BatchNormalization(center=False, scale=False)(keras.layers.Dense(7)(x))


@model("rows")
def layer_normalized(keras, x):
    return keras.layers.LayerNormalization()(keras.layers.Dense(7)(x))


@model("rows")
def residual(keras, x):
    y = keras.layers.Dense(6, activation="elu")(x)
    return keras.layers.Activation("softplus")(keras.layers.add([x, y]))


@model("rows")
def branches(keras, x):
    layers = keras.layers
    a, b, c = (layers.Dense(5, name=f"branch_{i}")(x) for i in "abc")
    parts = [
        layers.Subtract()([a, b]),
        layers.Multiply()([a, b, c]),
        layers.Average()([a, c]),
        layers.Maximum()([a, b, c]),
        layers.Minimum()([b, c]),
        layers.Dot(axes=1, normalize=True)([a, c]),
    ]
    return layers.Concatenate()(parts)


@model("rows")
def shared(keras, x):
    layer = keras.layers.Dense(6, activation="tanh", name="shared")
    return keras.layers.concatenate([layer(x), layer(layer(x))])


@model("rows")
def nested(keras, x):
    inner = keras.Sequential(
        [keras.layers.Dense(5, activation="selu", input_shape=(6,)), keras.layers.Dense(4)], name="inner"
    )
    return keras.layers.Concatenate()([inner(x), x])


@model("rows")
def activations(keras, x):
    layers = keras.layers
    x = layers.Dense(8)(x)
    parts = [
        layers.LeakyReLU(0.2)(x),
        layers.ELU(0.7)(x),
        layers.ThresholdedReLU(0.1)(x),
        layers.ReLU(max_value=0.5, negative_slope=0.1, threshold=0.05)(x),
        layers.PReLU()(x),
        layers.Softmax()(x),
    ]
    return layers.Concatenate()(parts)


@model("rows")
def named_activations(keras, x):
    names = ["softsign", "hard_sigmoid", "exponential", "linear", "softmax", "selu"]
    return keras.layers.Concatenate()([keras.layers.Dense(3, activation=name)(x) for name in names])


@model("rows")
def repeated(keras, x):
    layers = keras.layers
    x = layers.RepeatVector(3)(layers.Dense(4)(x))
    return layers.Permute((2, 1))(layers.Reshape((6, 2))(x))


@model("rows", "rows")
def two_inputs_of_one_kind(keras, a, b):
    return keras.layers.Dot(axes=-1)([keras.layers.RepeatVector(2)(a), keras.layers.RepeatVector(3)(b)])


# --- steps


def _recurrent(name, kind, source="steps", **options):
    def body(keras, x):
        if source == "masked":
            x = keras.layers.Masking(0.0)(x)
        return getattr(keras.layers, kind)(4, **options)(x)

    body.__name__ = name
    model(source)(body)


for _kind in ("SimpleRNN", "GRU", "LSTM"):
    _name = _kind.lower()
    _recurrent(_name, _kind)
    _recurrent(f"{_name}_sequences", _kind, return_sequences=True)
    _recurrent(f"{_name}_backwards", _kind, go_backwards=True, return_sequences=True)
    _recurrent(f"{_name}_masked", _kind, "masked")
    _recurrent(f"{_name}_masked_sequences", _kind, "masked", return_sequences=True)
    _recurrent(f"{_name}_unrolled", _kind, unroll=True)
    _recurrent(f"{_name}_relu", _kind, activation="relu", use_bias=False)
_recurrent("gru_reset_before", "GRU", reset_after=False)
_recurrent("gru_hard_sigmoid", "GRU", recurrent_activation="hard_sigmoid")
_recurrent("lstm_hard_sigmoid", "LSTM", recurrent_activation="hard_sigmoid", implementation=1)
_recurrent("lstm_without_unit_forget_bias", "LSTM", unit_forget_bias=False)


@model("steps")
def stacked_lstm(keras, x):
    return keras.layers.LSTM(3)(keras.layers.LSTM(4, return_sequences=True)(x))


@model("steps")
def stacked_cells(keras, x):
    return keras.layers.RNN([keras.layers.LSTMCell(4), keras.layers.GRUCell(3)])(x)


@model("steps")
def state_handed_on(keras, x):
    output, h, c = keras.layers.LSTM(4, return_state=True)(x)
    following = keras.layers.LSTM(4)(x, initial_state=[h, c])
    return keras.layers.Concatenate()([output, following])


@model("steps")
def bidirectional_lstm(keras, x):
    return keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True))(x)


@model("masked")
def bidirectional_gru_summed(keras, x):
    return keras.layers.Bidirectional(keras.layers.GRU(3), merge_mode="sum")(keras.layers.Masking()(x))


@model("steps")
def distributed_over_time(keras, x):
    return keras.layers.TimeDistributed(keras.layers.Dense(3, activation="tanh"))(x)


@model("steps")
def convolved_steps(keras, x):
    return keras.layers.Conv1D(3, 3, padding="same", activation="relu")(x)


@model("steps")
def causal(keras, x):
    return keras.layers.Conv1D(3, 2, padding="causal", dilation_rate=2)(x)


@model("steps")
def separable_steps(keras, x):
    return keras.layers.SeparableConv1D(3, 2, depth_multiplier=2, activation="tanh")(x)


@model("steps")
def locally_connected_steps(keras, x):
    return keras.layers.LocallyConnected1D(3, 2, activation="tanh")(x)


@model("steps")
def pooled_steps(keras, x):
    layers = keras.layers
    parts = [
        layers.MaxPooling1D(2),
        layers.AveragePooling1D(3, 1, "same"),
        layers.UpSampling1D(2),
        layers.ZeroPadding1D(1),
    ]
    flat = [layers.Flatten()(part(x)) for part in (*parts, layers.Cropping1D((1, 2)))]
    return layers.Concatenate()([*flat, layers.GlobalMaxPooling1D()(x), layers.GlobalAveragePooling1D()(x)])


@model("masked")
def masked_average(keras, x):
    return keras.layers.GlobalAveragePooling1D()(keras.layers.Masking()(x))


@model("steps", "steps")
def attended(keras, query, value):
    return keras.layers.Attention(use_scale=True)([keras.layers.Dense(4)(query), value])


@model("steps")
def attended_additively(keras, x):
    return keras.layers.AdditiveAttention()([keras.layers.Dense(4)(x), keras.layers.Dense(4)(x)])


# --- words


@model("words")
def embedded(keras, x):
    return keras.layers.Embedding(9, 4)(x)


@model("words")
def embedded_bag(keras, x):
    return keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(9, 4, mask_zero=True)(x))


@model("words")
def embedded_lstm(keras, x):
    return keras.layers.LSTM(4)(keras.layers.Embedding(9, 4, mask_zero=True)(x))


@model("words", "rows")
def words_and_rows(keras, words, rows):
    words = keras.layers.GRU(3)(keras.layers.Embedding(9, 4)(words))
    return keras.layers.concatenate([words, keras.layers.Dense(3, activation="relu")(rows)])


# --- pictures and volumes


def _picture(name, *makers):
    def body(keras, x):
        for maker in makers:
            x = maker(keras.layers)(x)
        return x

    body.__name__ = name
    model("picture")(body)


_picture("convolved", lambda layers: layers.Conv2D(3, 3, activation="relu"))
_picture("convolved_same", lambda layers: layers.Conv2D(3, 3, padding="same", use_bias=False))
_picture("strided", lambda layers: layers.Conv2D(3, (3, 2), strides=2, padding="same", activation="tanh"))
_picture("dilated", lambda layers: layers.Conv2D(3, 2, dilation_rate=2))
_picture("pointwise", lambda layers: layers.Conv2D(4, 1, activation="relu"))
_picture("depthwise", lambda layers: layers.DepthwiseConv2D(3, depth_multiplier=2, activation="tanh"))
_picture("separable", lambda layers: layers.SeparableConv2D(3, 3, strides=2, depth_multiplier=2))
_picture("transposed", lambda layers: layers.Conv2DTranspose(3, 3, strides=2, padding="same", activation="tanh"))
_picture("transposed_valid", lambda layers: layers.Conv2DTranspose(2, 2))
_picture("locally_connected", lambda layers: layers.LocallyConnected2D(2, 3, strides=2))
_picture("max_pooled", lambda layers: layers.Conv2D(3, 3, padding="same"), lambda layers: layers.MaxPooling2D())
_picture("average_pooled", lambda layers: layers.AveragePooling2D(3, 2, "same"), lambda layers: layers.Conv2D(3, 2))
_picture("global_max", lambda layers: layers.Conv2D(4, 3), lambda layers: layers.GlobalMaxPooling2D())
_picture("global_average", lambda layers: layers.Conv2D(4, 3), lambda layers: layers.GlobalAveragePooling2D())
_picture("picture_normalized", lambda layers: layers.Conv2D(3, 3), lambda layers: layers.BatchNormalization())
_picture("channels_normalized", lambda layers: layers.LayerNormalization(axis=[1, 2]))
_picture(
    "borders",
    lambda layers: layers.ZeroPadding2D(((1, 0), (2, 1))),
    lambda layers: layers.Cropping2D(((0, 1), (1, 0))),
    lambda layers: layers.UpSampling2D((2, 1)),
    lambda layers: layers.Conv2D(2, 3),
)
_picture("upsampled_bilinearly", lambda layers: layers.UpSampling2D(2, interpolation="bilinear"))
_picture(
    "rows_as_steps", lambda layers: layers.TimeDistributed(layers.Conv1D(3, 2)), lambda layers: layers.Reshape((6, 15))
)


@model("volume")
def convolved_volume(keras, x):
    return keras.layers.Conv3D(3, 2, activation="tanh")(x)


@model("volume")
def pooled_volume(keras, x):
    layers = keras.layers
    parts = [layers.MaxPooling3D((1, 2, 2)), layers.AveragePooling3D((3, 2, 2)), layers.Cropping3D(1)]
    flat = [
        layers.Flatten()(part(x)) for part in (*parts, layers.UpSampling3D((1, 2, 1)), layers.ZeroPadding3D((0, 1, 0)))
    ]
    return layers.Concatenate()([*flat, layers.GlobalMaxPooling3D()(x), layers.GlobalAveragePooling3D()(x)])


@model("volume")
def transposed_volume(keras, x):
    return keras.layers.Conv3DTranspose(2, 2, strides=(1, 2, 1))(x)


@model("volume")
def convolved_lstm(keras, x):
    return keras.layers.ConvLSTM2D(2, 2, padding="same", return_sequences=True)(x)


# --- together


@model("picture")
def small_network(keras, x):
    layers = keras.layers
    for filters in (3, 4):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_regularizer="l2")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.MaxPooling2D()(x)
    return layers.Dense(5, activation="relu")(layers.Flatten()(x))


@model("picture")
def residual_pictures(keras, x):
    layers = keras.layers
    y = layers.Conv2D(2, 3, padding="same", activation="relu")(x)
    y = layers.Conv2D(2, 3, padding="same", kernel_constraint=keras.constraints.MaxNorm(1.0, axis=[0, 1, 2]))(y)
    return layers.GlobalAveragePooling2D()(layers.Activation("relu")(layers.Add()([x, y])))


@model("picture", "rows")
def picture_and_rows(keras, picture, rows):
    layers = keras.layers
    features = layers.GlobalMaxPooling2D()(layers.Conv2D(4, 3, activation="relu")(picture))
    return layers.multiply([features, layers.Dense(4, activation="sigmoid")(rows)])


@model("words", "words")
def siamese(keras, a, b):
    layers = keras.layers
    encoder = keras.Sequential([layers.Embedding(9, 4, mask_zero=True, input_length=5), layers.LSTM(3)], name="encoder")
    return layers.subtract([encoder(a), encoder(b)])


@model("masked")
def masked_through_layers(keras, x):
    layers = keras.layers
    x = layers.Dropout(0.0)(layers.Activation("tanh")(layers.Masking()(x)))
    return layers.GRU(3)(layers.TimeDistributed(layers.Dense(4))(x))


@model("steps")
def lstm_regularized(keras, x):
    return keras.layers.LSTM(
        4, kernel_regularizer="l2", recurrent_regularizer="l1", bias_regularizer="l2", recurrent_constraint="unit_norm"
    )(x)


@model("steps")
def convolved_then_recurrent(keras, x):
    layers = keras.layers
    x = layers.Conv1D(4, 2, strides=2, activation="relu")(x)
    return layers.Bidirectional(layers.SimpleRNN(2), merge_mode="mul")(x)


@model("steps")
def encoder_and_decoder(keras, x):
    layers = keras.layers
    code = layers.GRU(4)(x)
    decoded = layers.GRU(3, return_sequences=True)(layers.RepeatVector(4)(code))
    return layers.TimeDistributed(layers.Dense(2))(decoded)


@model("rows")
def computed(keras, x):
    layers = keras.layers
    squared = layers.Lambda(lambda tensor: tensor * tensor - 1.0)(layers.Dense(5)(x))
    return layers.GaussianNoise(0.0)(layers.AlphaDropout(0.0)(squared))


@model("rows")
def frozen(keras, x):
    layers = keras.layers
    x = layers.BatchNormalization(trainable=False)(layers.Dense(5, activation="tanh", trainable=False)(x))
    return layers.Dense(4, activation="relu")(x)
