"""`tf.keras.applications`: known architectures, with weights trained on ImageNet if they are asked for."""

from distkeras.keras.applications import (
    densenet,
    inception_v3,
    mobilenet,
    mobilenet_v2,
    resnet,
    resnet50,
    resnet_v2,
    vgg16,
    vgg19,
    xception,
)
from distkeras.keras.applications.densenet import DenseNet121
from distkeras.keras.applications.inception_v3 import InceptionV3
from distkeras.keras.applications.mobilenet import MobileNet
from distkeras.keras.applications.mobilenet_v2 import MobileNetV2
from distkeras.keras.applications.resnet50 import ResNet50
from distkeras.keras.applications.resnet_v2 import ResNet50V2
from distkeras.keras.applications.vgg16 import VGG16
from distkeras.keras.applications.vgg19 import VGG19
from distkeras.keras.applications.xception import Xception

__all__ = [
    "DenseNet121",
    "InceptionV3",
    "MobileNet",
    "MobileNetV2",
    "ResNet50",
    "ResNet50V2",
    "VGG16",
    "VGG19",
    "Xception",
    "densenet",
    "inception_v3",
    "mobilenet",
    "mobilenet_v2",
    "resnet",
    "resnet50",
    "resnet_v2",
    "vgg16",
    "vgg19",
    "xception",
]
