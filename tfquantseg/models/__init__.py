"""Float Keras models for segmentation: RGB images of 0..255 in, logits of the same size out."""

from tfquantseg.models.catalog import build, names
from tfquantseg.models.deeplab import deeplabv3_resnet50
from tfquantseg.models.efficientnet_lite0 import efficientnet_lite0
from tfquantseg.models.fcn8s import fcn8s_vgg16
from tfquantseg.models.homogeneity import balance
from tfquantseg.models.norm_scale import move_scale_into_norms
from tfquantseg.models.preprocessing import Preprocessing
from tfquantseg.models.residual_unet import residual_unet

__all__ = [
    "Preprocessing",
    "balance",
    "build",
    "deeplabv3_resnet50",
    "efficientnet_lite0",
    "fcn8s_vgg16",
    "move_scale_into_norms",
    "names",
    "residual_unet",
]
