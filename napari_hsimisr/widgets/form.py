"""Forms drawn from the pydantic schema of a config: a choice of methods is a combo box with the method's own knobs."""

from __future__ import annotations

import types
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from magicgui.widgets import CheckBox, ComboBox, Container, FloatSpinBox, LineEdit, SpinBox
from magicgui.widgets.bases import Widget
from pydantic import BaseModel
from pydantic.fields import FieldInfo

Values = dict[str, Any]


class ModelForm(Container[Any]):
    """One row per knob of `model`; `values` is what the model validates. Fields without a choice are left out."""

    def __init__(self, model: type[BaseModel], only: Iterable[str] | None = None, prefix: str = "") -> None:
        self.rows = _rows(model, model.model_fields if only is None else only, prefix)
        has_groups = any(isinstance(row, _GROUPS) for row in self.rows.values())
        super().__init__(widgets=list(self.rows.values()), labels=not has_groups)
        self.margins = (0, 0, 0, 0)

    @property
    def values(self) -> Values:
        """Plain values by knob; those that are set may be more, or fewer, than the form draws."""
        return _values(self.rows)

    @values.setter
    def values(self, values: Values) -> None:
        _set_values(self.rows, values)


class MethodForm(Container[Any]):
    """A stage with several methods: the combo box chooses the config type, its knobs follow below."""

    def __init__(self, models: list[type[BaseModel]], default: BaseModel, title: str) -> None:
        self._models = {_method(model): model for model in models}
        choices = [(method.replace("_", " "), method) for method in self._models]
        self.method = ComboBox(choices=choices, value=_method(type(default)), label=title)
        super().__init__(widgets=[self.method])
        self.margins = (0, 0, 0, 0)
        self._draw()
        self.method.changed.connect(self._draw)

    @property
    def values(self) -> Values:
        """Plain values by knob, the method among them; a method that is set comes with its own knobs."""
        return {"method": self.method.value, **_values(self.knobs)}

    @values.setter
    def values(self, values: Values) -> None:
        self.method.value = values.get("method", self.method.value)
        _set_values(self.knobs, values)

    def _draw(self) -> None:
        while len(self) > 1:
            self.pop(-1)
        model = self._models[self.method.value]
        self.method.tooltip = (model.__doc__ or "").strip()
        self.knobs = _rows(model, [name for name in model.model_fields if name != "method"])
        self.extend(self.knobs.values())


class AutoNumber(Container[Any]):
    """A whole number, or the word ``auto``."""

    def __init__(self, value: int | str, start: int = 8, **about: str) -> None:
        self.auto = CheckBox(value=value == "auto", text="auto")
        self.number = SpinBox(value=start if value == "auto" else int(value), min=1, enabled=value != "auto")
        super().__init__(widgets=[self.auto, self.number], layout="horizontal", labels=False, **about)
        self.margins = (0, 0, 0, 0)
        self.auto.changed.connect(lambda auto: setattr(self.number, "enabled", not auto))

    @property
    def value(self) -> int | str:
        """The number, or ``auto``."""
        return "auto" if self.auto.value else int(self.number.value)

    @value.setter
    def value(self, value: int | str) -> None:
        self.auto.value = value == "auto"
        if value != "auto":
            self.number.value = int(value)


def show_number(box: FloatSpinBox, value: float) -> None:
    """Set a box to a number as it is; boxes round to the digits they show, and have bounds the schema has not."""
    digits = -int(Decimal(repr(float(value))).as_tuple().exponent)
    box.native.setDecimals(max(digits, box.native.decimals()))
    box.min, box.max = min(box.min, value), max(box.max, value)
    box.value = value


_GROUPS = (ModelForm, MethodForm)


def _rows(model: type[BaseModel], names: Iterable[str], prefix: str = "") -> dict[str, Any]:
    rows = {}
    for name in names:
        field = model.model_fields[name]
        key = field.alias or name
        row = _row(field, f"{prefix} {key}".strip().replace("_", " "))
        if row is not None:
            rows[key] = row
    return rows


def _values(rows: dict[str, Any]) -> Values:
    return {key: row.values if isinstance(row, _GROUPS) else row.value for key, row in rows.items()}


def _set_values(rows: dict[str, Any], values: Values) -> None:
    for key, row in rows.items():
        if key not in values:
            continue
        if isinstance(row, _GROUPS):
            row.values = values[key]
        elif isinstance(row, FloatSpinBox):
            show_number(row, values[key])
        else:
            row.value = values[key]


def _row(field: FieldInfo, title: str) -> Widget | None:
    default = field.get_default(call_default_factory=True)
    kind, bounds = field.annotation, _bounds(field)
    options = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    models = [option for option in options if isinstance(option, type) and issubclass(option, BaseModel)]
    tooltip = {"tooltip": field.description or ""}
    about = {"label": title} | tooltip
    if len(models) > 1:
        return MethodForm(models, default, title)
    if models:
        return None if set(models[0].model_fields) == {"method"} else ModelForm(models[0], prefix=title)
    if all(get_origin(option) is Literal for option in options):
        choices = [choice for option in options for choice in get_args(option)]
        return ComboBox(choices=choices, value=default, **about) if len(choices) > 1 else None
    if len(options) > 1:
        return AutoNumber(default, **about)
    if kind is bool:
        return CheckBox(value=default, text=title, **tooltip)
    if kind is int:
        return SpinBox(value=default, **bounds, **about)
    if kind is float:
        return FloatSpinBox(value=default, step=_step(default), **bounds, **about)
    return LineEdit(value=default, **about)


def _method(model: type[BaseModel]) -> str:
    return str(model.model_fields["method"].default)


def _bounds(field: FieldInfo) -> dict[str, Any]:
    bounds: dict[str, Any] = {}
    for limit in field.metadata:
        match limit:
            case Ge(ge=value):
                bounds["min"] = value
            case Gt(gt=value):
                bounds["min"] = value if field.annotation is int else value + _step(field.default)
            case Le(le=value):
                bounds["max"] = value
            case Lt(lt=value):
                bounds["max"] = value if field.annotation is int else value - _step(field.default)
    return bounds


def _step(default: float) -> float:
    """A tenth of the order of magnitude of a knob's default."""
    step = 0.1
    while step > abs(default) / 2 and step > 1e-6:
        step /= 10
    return step
