"""Parameter groups: layer-wise learning rate decay, and weight decay."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn
from typing_extensions import TypedDict

from ccmim.ranges import NonNegative, Part, PositiveRatio
from ccmim.registry import OPTIM_WRAPPER_CONSTRUCTORS

DEFAULTS = dict(
    layer_decay=1.0,
    no_decay_by_shape=True,
    no_decay_names=(
        *('cls_token', 'reg_token', 'pos_embed', 'relative_position_bias_table'),
    ),
    lr_mult={},
    parts=(),
)


class Groups(TypedDict, total=False):
    """How parameters are grouped; see below."""

    layer_decay: PositiveRatio
    no_decay_by_shape: bool
    no_decay_names: Sequence[str]
    lr_mult: dict[str, NonNegative]
    parts: Sequence[str]


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Sort parameters into few groups by learning rate and weight decay.

    A parameter of a backbone gets ``lr * layer_decay ** (num_layers - 1 - depth)``, its
    depth being what ``backbone.layer_id(name)`` says; what is outside gets ``lr``.
    Parameters with the same pair of values share a group, so that no layer decay makes
    two groups. Frozen parameters are left out.

    Keys of ``paramwise_cfg``, all optional:

    - ``layer_decay``: Factor from one depth to the next below, in (0, 1].
    - ``no_decay_by_shape``: Whether 1-D parameters (norms and biases) are free of
      weight decay.
    - ``no_decay_names``: Names of parameters, or of modules that hold them, that are
      free of it as well: 'norm1' is each block's first norm. The default is the
      fine-tuning rule of MAE; MAE's pretraining code decays the tokens, which an empty
      tuple does.
    - ``lr_mult``: Further factors by module or parameter name, such as
      ``{'backbone.patch_embed': 0.1}``; the longest name that fits applies.
    - ``parts``: Names of modules, such as 'backbone', whose groups stay apart from all
      others and are marked by the name: see ``ccmim.PartLinearLR``.

    Args:
        optim_wrapper_cfg: Config of the wrapper and its ``optimizer``, which must set
            ``lr`` and ``weight_decay``.
        paramwise_cfg: The keys above.

    Raises:
        ValueError: If the optimizer lacks one of these.
    """

    def __init__(
        self,
        optim_wrapper_cfg: Part,
        paramwise_cfg: Groups | None = None,
    ) -> None:
        options = {**DEFAULTS, **(paramwise_cfg or {})}
        super().__init__(optim_wrapper_cfg, options)
        if self.base_lr is None or self.base_wd is None:
            raise ValueError('optim_wrapper.optimizer must set lr and weight_decay')

    def add_params(
        self, params: list[dict[str, Any]], module: nn.Module, **_: Any
    ) -> None:
        """Append the groups of a whole model.

        Args:
            params: List of groups, extended in place by dicts of ``name``, ``params``,
                ``lr`` and ``weight_decay``, from the lowest rate to the highest.
            module: The model.

        Raises:
            ValueError: If layer decay is asked for and no module has depths, or a
                name in ``lr_mult`` fits no parameter.
        """
        named = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
        self._check_names(module)
        backbones = {
            name: part
            for name, part in module.named_modules()
            if callable(getattr(part, 'layer_id', None))
        }
        if self.paramwise_cfg['layer_decay'] < 1 and not backbones:
            raise ValueError(
                f'layer_decay needs a backbone with layer_id(name); '
                f'{type(module).__name__} has none: set layer_decay=1'
            )

        groups, parts = defaultdict(list), self.paramwise_cfg['parts']
        for name, param in named:
            mult = self._depth_factor(name, backbones) * self._extra_factor(name)
            part = next((p for p in parts if _is_within(name, p)), '')
            groups[mult, self._weight_decay(name, param), part].append(param)
        for (mult, decay, part), members in sorted(groups.items(), key=lambda g: g[0]):
            title = f'{part} lr x {mult:.4g}, wd {decay:g}'.lstrip()
            rates = dict(lr=self.base_lr * mult, weight_decay=decay)
            marked = dict(part=part or 'rest') if parts else {}
            params.append(dict(name=title, params=members, **rates, **marked))

    def _depth_factor(self, name: str, backbones: dict[str, Any]) -> float:
        for prefix, backbone in backbones.items():
            if _is_within(name, prefix):
                depth = backbone.layer_id(name[len(prefix) :].lstrip('.'))
                steps = backbone.num_layers - 1 - depth
                return self.paramwise_cfg['layer_decay'] ** steps
        return 1.0

    def _extra_factor(self, name: str) -> float:
        factors = self.paramwise_cfg['lr_mult']
        fits = [prefix for prefix in factors if _is_within(name, prefix)]
        return factors[max(fits, key=len)] if fits else 1.0

    def _weight_decay(self, name: str, param: nn.Parameter) -> float:
        flat = self.paramwise_cfg['no_decay_by_shape'] and param.ndim <= 1
        names = self.paramwise_cfg['no_decay_names']
        named = any(part in names for part in name.split('.'))
        return 0.0 if flat or named else self.base_wd

    def _check_names(self, module: nn.Module) -> None:
        names = [name for name, _ in module.named_parameters()]
        for key in ('lr_mult', 'parts'):
            for prefix in self.paramwise_cfg[key]:
                if not any(_is_within(name, prefix) for name in names):
                    raise ValueError(
                        f'optim_wrapper.paramwise_cfg.{key} names {prefix!r}, which '
                        f'fits no parameter: there are such as {names[0]}'
                    )


def _is_within(name: str, prefix: str) -> bool:
    return not prefix or name == prefix or name.startswith(prefix + '.')
