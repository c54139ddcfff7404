"""`tf.keras.applications`: known architectures, with weights trained on ImageNet if they are asked for."""

from distkeras.keras.applications import (
    densenet,
    imagenet_utils,
    inception_resnet_v2,
    inception_v3,
    mobilenet,
    mobilenet_v2,
    nasnet,
    resnet,
    resnet50,
    resnet_v2,
    vgg16,
    vgg19,
    xception,
)
from distkeras.keras.applications.densenet import DenseNet121, DenseNet169, DenseNet201
from distkeras.keras.applications.inception_resnet_v2 import InceptionResNetV2
from distkeras.keras.applications.inception_v3 import InceptionV3
from distkeras.keras.applications.mobilenet import MobileNet
from distkeras.keras.applications.mobilenet_v2 import MobileNetV2
from distkeras.keras.applications.nasnet import NASNetLarge, NASNetMobile
from distkeras.keras.applications.resnet import ResNet101, ResNet152
from distkeras.keras.applications.resnet50 import ResNet50
from distkeras.keras.applications.resnet_v2 import ResNet50V2, ResNet101V2, ResNet152V2
from distkeras.keras.applications.vgg16 import VGG16
from distkeras.keras.applications.vgg19 import VGG19
from distkeras.keras.applications.xception import Xception

__all__ = [
    "DenseNet121", "DenseNet169", "DenseNet201", "InceptionResNetV2", "InceptionV3", "MobileNet", "MobileNetV2",
    "NASNetLarge", "NASNetMobile", "ResNet50", "ResNet50V2", "ResNet101", "ResNet101V2", "ResNet152", "ResNet152V2",
    "VGG16", "VGG19", "Xception", "densenet", "imagenet_utils", "inception_resnet_v2", "inception_v3", "mobilenet",
    "mobilenet_v2", "nasnet", "resnet", "resnet50", "resnet_v2", "vgg16", "vgg19", "xception",
]  # fmt: skip
__dir__ = __all__.copy
