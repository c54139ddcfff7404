"""`tf.io`: files, records and what they hold."""

from distkeras.data import gfile
from distkeras.data.csv_records import decode_csv
from distkeras.data.files import matching_files, parse_tensor, read_file, serialize_tensor, write_file
from distkeras.data.parsing import (
    FixedLenFeature,
    FixedLenSequenceFeature,
    VarLenFeature,
    parse_example,
    parse_single_example,
)
from distkeras.data.raw import decode_raw
from distkeras.data.records import TFRecordOptions, TFRecordWriter
from distkeras.ops import decode_bmp, decode_gif, decode_image, decode_jpeg, decode_png, encode_jpeg, encode_png
