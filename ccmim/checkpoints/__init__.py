"""Read weights of any format; read and write checkpoints safely.

``sources`` finds files and names, ``safe_load`` reads a file, ``layouts`` knows each
format, ``read`` returns a backbone's weights and ``load`` puts them into a network;
``resume`` chooses the checkpoint of an interrupted run.
"""

from ccmim.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        'architecture': ('Architecture', 'architecture_of'),
        'atomic': ('write_atomically',),
        'finite': ('check_features', 'refuse_nonfinite'),
        'layouts': ('LAYOUTS', 'READABLE', 'WRITABLE', 'to_ccmim'),
        'load': ('build_backbone', 'load_backbone', 'network_of'),
        'read': ('Weights', 'read_weights'),
        'resume': ('ResumeError', 'choose_resume'),
        'safe_load': ('guard_mmengine', 'load_file'),
        'sources': ('is_weights',),
        'verify': ('verify_archive', 'verify_checkpoint'),
        'write': ('write_weights',),
        'ccmim.files': ('WriteError', 'replacing', 'write_file'),
    },
)
