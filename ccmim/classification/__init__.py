"""Classification: labelled images, the classifier, and how it is trained and judged."""

from ccmim.classification.accuracy import TopAccuracy
from ccmim.classification.augmentation import RandAugment
from ccmim.classification.classes_hook import ClassesHook
from ccmim.classification.classifier import Classifier
from ccmim.classification.head import ClassHead
from ccmim.classification.labeled import LabeledImages
from ccmim.classification.lars import LARS
from ccmim.classification.mixing import BatchMixing
from ccmim.renamed import old_names

__all__ = [
    'LARS',
    'BatchMixing',
    'ClassHead',
    'ClassesHook',
    'Classifier',
    'LabeledImages',
    'RandAugment',
    'TopAccuracy',
]

__getattr__ = old_names(__name__)
