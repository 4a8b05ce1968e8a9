"""Classification: labelled images, the classifier, and how it is trained and judged."""

from ccmim.classification.accuracy import TopAccuracy
from ccmim.classification.augmentation import RandAugment
from ccmim.classification.classes_hook import ClassesHook
from ccmim.classification.classifier import Classifier
from ccmim.classification.head import ClassHead
from ccmim.classification.labelled import LabelledImages
from ccmim.classification.lars import LARS
from ccmim.classification.mixing import BatchMixing

__all__ = [
    'LARS',
    'BatchMixing',
    'ClassHead',
    'ClassesHook',
    'Classifier',
    'LabelledImages',
    'RandAugment',
    'TopAccuracy',
]
