"""Classification: labeled images, classifier, training and evaluation."""

from ccmim.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        'accuracy': ('TopAccuracy',),
        'augmentation': ('RandAugment',),
        'classes_hook': ('ClassesHook',),
        'classifier': ('Classifier',),
        'groups': ('GroupSampler',),
        'head': ('ClassHead',),
        'labeled': ('LabeledImages',),
        'lars': ('LARS',),
        'look_into': ('LookIntoObject',),
        'mixing': ('BatchMixing',),
    },
)
