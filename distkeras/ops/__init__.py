"""Operations on tensors, by family; the public names of `tf`, `tf.math` and `tf.nn` are faces of these."""

from distkeras.ops import half as _half  # noqa: F401  (says how kernels compute float16)
from distkeras.ops import operators as _operators  # noqa: F401  (installs the operators)
from distkeras.ops import ragged as _ragged  # noqa: F401  (methods of RaggedTensor, and what ops do with them)
from distkeras.ops import variable_writes as _variable_writes  # noqa: F401  (and these methods)
from distkeras.ops._op import OPS
from distkeras.ops.assertions import (
    Assert,
    assert_all_finite,
    assert_equal,
    assert_greater,
    assert_greater_equal,
    assert_integer,
    assert_less,
    assert_less_equal,
    assert_near,
    assert_negative,
    assert_non_negative,
    assert_non_positive,
    assert_none_equal,
    assert_positive,
    assert_proper_iterable,
    assert_rank,
    assert_rank_at_least,
    assert_rank_in,
    assert_same_float_dtype,
    assert_scalar,
    assert_shapes,
    assert_type,
    check_numerics,
    is_numeric_tensor,
)
from distkeras.ops.branches import case, cond, switch_case
from distkeras.ops.candidates import (
    log_uniform_candidate_sampler,
    nce_loss,
    sampled_softmax_loss,
    uniform_candidate_sampler,
)
from distkeras.ops.convolution import atrous_conv2d, conv1d, conv2d, conv3d, convolution
from distkeras.ops.creation import (
    constant,
    convert_to_tensor,
    ensure_shape,
    eye,
    fill,
    linspace,
    meshgrid,
    one_hot,
    ones,
    ones_like,
    range,
    rank,
    shape,
    size,
    zeros,
    zeros_like,
)
from distkeras.ops.ctc import ctc_loss
from distkeras.ops.ctc_decoding import ctc_beam_search_decoder, ctc_greedy_decoder
from distkeras.ops.depthwise import depthwise_conv2d, separable_conv1d, separable_conv2d
from distkeras.ops.einsum import einsum
from distkeras.ops.elementwise import (
    abs,
    acos,
    add,
    add_n,
    asin,
    atan,
    cast,
    ceil,
    clip_by_value,
    cos,
    cosh,
    divide,
    divide_no_nan,
    equal,
    erf,
    exp,
    expm1,
    floor,
    floor_divide,
    floor_mod,
    floordiv,
    greater,
    greater_equal,
    identity,
    is_finite,
    is_inf,
    is_nan,
    less,
    less_equal,
    log,
    log1p,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    mod,
    multiply,
    negative,
    not_equal,
    pow,
    reciprocal,
    relu,
    round,
    rsqrt,
    sigmoid,
    sign,
    sin,
    sinh,
    softplus,
    sqrt,
    square,
    squared_difference,
    stop_gradient,
    subtract,
    tan,
    tanh,
    where,
)
from distkeras.ops.factors import (
    cholesky,
    cholesky_solve,
    det,
    eigh,
    eigvalsh,
    inv,
    logdet,
    lstsq,
    qr,
    slogdet,
    solve,
    svd,
    triangular_solve,
)
from distkeras.ops.folds import foldl, foldr, map_fn, scan, vectorized_map
from distkeras.ops.image_boxes import (
    combined_non_max_suppression,
    non_max_suppression,
    non_max_suppression_padded,
    non_max_suppression_with_scores,
)
from distkeras.ops.image_colour import (
    adjust_brightness,
    adjust_contrast,
    adjust_gamma,
    adjust_hue,
    adjust_saturation,
    grayscale_to_rgb,
    hsv_to_rgb,
    per_image_standardization,
    rgb_to_grayscale,
    rgb_to_hsv,
    rgb_to_yiq,
    rgb_to_yuv,
    yiq_to_rgb,
    yuv_to_rgb,
)
from distkeras.ops.image_files import (
    adjust_jpeg_quality,
    decode_bmp,
    decode_gif,
    decode_image,
    decode_jpeg,
    decode_png,
    encode_jpeg,
    encode_png,
)
from distkeras.ops.image_geometry import (
    central_crop,
    crop_to_bounding_box,
    extract_patches,
    flip_left_right,
    flip_up_down,
    pad_to_bounding_box,
    resize_with_crop_or_pad,
    rot90,
    transpose_image,
)
from distkeras.ops.image_quality import image_gradients, psnr, sobel_edges, ssim, ssim_multiscale, total_variation
from distkeras.ops.image_random import (
    random_brightness,
    random_contrast,
    random_crop,
    random_flip_left_right,
    random_flip_up_down,
    random_hue,
    random_jpeg_quality,
    random_saturation,
)
from distkeras.ops.image_resize import ResizeMethod, crop_and_resize, resize, resize_with_pad
from distkeras.ops.image_types import convert_image_dtype, saturate_cast
from distkeras.ops.indexing import (
    boolean_mask,
    embedding_lookup,
    gather,
    gather_nd,
    getitem,
    roll,
    sequence_mask,
    slice_,
)
from distkeras.ops.joining import concat, split, stack, unstack
from distkeras.ops.layer_normalization import layer_normalization
from distkeras.ops.linalg import (
    bias_add,
    clip_by_global_norm,
    clip_by_norm,
    global_norm,
    l2_normalize,
    matmul,
    norm,
    normalize,
    tensordot,
)
from distkeras.ops.local_convolution import local_conv
from distkeras.ops.loops import while_loop
from distkeras.ops.matrices import (
    adjoint,
    band_part,
    cross,
    diag,
    diag_part,
    matrix_transpose,
    matvec,
    set_diag,
    tensor_diag,
    tensor_diag_part,
    trace,
)
from distkeras.ops.neural import (
    batch_normalization,
    crelu,
    depth_to_space,
    l2_loss,
    local_response_normalization,
    log_poisson_loss,
    normalize_moments,
    space_to_depth,
    sufficient_statistics,
    swish,
    weighted_moments,
    zero_fraction,
)
from distkeras.ops.normalization import batch_normalization_inference, batch_normalization_training
from distkeras.ops.ordering import (
    argsort,
    bincount,
    confusion_matrix,
    histogram_fixed_width,
    in_top_k,
    invert_permutation,
    is_non_decreasing,
    is_strictly_increasing,
    searchsorted,
    sort,
    top_k,
    unique,
    unique_with_counts,
)
from distkeras.ops.partitions import dynamic_partition, dynamic_stitch, reverse_sequence, strided_slice
from distkeras.ops.pooling import (
    avg_pool,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    max_pool_with_argmax,
    pool,
)
from distkeras.ops.python_calls import custom_gradient, numpy_function, print_, print_tensor, py_function
from distkeras.ops.random import (
    dropout,
    random_categorical,
    random_gamma,
    random_normal,
    random_poisson,
    random_shuffle,
    random_uniform,
    stateless_categorical,
    stateless_normal,
    stateless_truncated_normal,
    stateless_uniform,
    truncated_normal,
)
from distkeras.ops.recurrent import gru, lstm, simple_rnn
from distkeras.ops.reduction import (
    argmax,
    argmin,
    count_nonzero,
    cumprod,
    cumsum,
    moments,
    reduce_all,
    reduce_any,
    reduce_euclidean_norm,
    reduce_logsumexp,
    reduce_max,
    reduce_mean,
    reduce_min,
    reduce_prod,
    reduce_std,
    reduce_sum,
    reduce_variance,
)
from distkeras.ops.resizing import enlarge
from distkeras.ops.scatter import (
    scatter_nd,
    segment_max,
    segment_mean,
    segment_min,
    segment_prod,
    segment_sum,
    tensor_scatter_nd_add,
    tensor_scatter_nd_sub,
    tensor_scatter_nd_update,
    unsorted_segment_max,
    unsorted_segment_mean,
    unsorted_segment_min,
    unsorted_segment_prod,
    unsorted_segment_sqrt_n,
    unsorted_segment_sum,
)
from distkeras.ops.shape import broadcast_to, expand_dims, pad, repeat, reshape, reverse, squeeze, tile, transpose
from distkeras.ops.softmax import (
    elu,
    leaky_relu,
    log_softmax,
    relu6,
    selu,
    sigmoid_cross_entropy_with_logits,
    softmax,
    softmax_cross_entropy_with_logits,
    softsign,
    sparse_cross_entropy,
    sparse_softmax_cross_entropy_with_logits,
    weighted_cross_entropy_with_logits,
)
from distkeras.ops.sparse import from_dense as sparse_from_dense
from distkeras.ops.sparse import to_dense as sparse_to_dense
from distkeras.ops.special import (
    accumulate_n,
    acosh,
    asinh,
    atan2,
    atanh,
    digamma,
    erfc,
    lbeta,
    lgamma,
    log_sigmoid,
    multiply_no_nan,
    polygamma,
    polyval,
    reciprocal_no_nan,
    scalar_mul,
    xdivy,
    xlogy,
)
from distkeras.ops.tensor_array import TensorArray
from distkeras.ops.text_parts import (
    string_bytes_split,
    string_ngrams,
    string_split,
    unicode_decode,
    unicode_decode_with_offsets,
    unicode_split,
    unicode_split_with_offsets,
)
from distkeras.ops.text_units import (
    string_format,
    string_reduce_join,
    unicode_encode,
    unicode_transcode,
)
from distkeras.ops.transposed_convolution import (
    atrous_conv2d_transpose,
    conv1d_transpose,
    conv2d_transpose,
    conv3d_transpose,
    conv_transpose,
)
