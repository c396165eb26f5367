"""Whether a model's signature holds what the policy's properties name: asked before anything is started. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mlgate.artifacts.signature import Column, ColumnSchema, DataType, Schema, Signature, Tensor, type_name
from mlgate.errors import PolicyError
from mlgate.evaluation.outputs import OutputMapping, UnmappedOutput
from mlgate.generation.input_space import InputSpace
from mlgate.generation.pairs import changed_pairs, scaled_pairs, swapped_pairs
from mlgate.policy_accuracy import Accuracy
from mlgate.policy_properties import OutputRule, Properties
from mlgate.scoring.output_place import (
    NUMBERS,
    NoSuchOutput,
    NotThere,
    OutputPlace,
    find_place,
    output_places,
)

_KEY = "properties"
_ORDERED = {*NUMBERS, DataType.DATETIME, DataType.BOOLEAN}


def check_properties(properties: Properties, accuracy: Accuracy, signature: Signature) -> None:
    """Refuse a property of a column or an output that the signature does not have, or that has no such property.

    Raises:
        PolicyError: Names the key, and what there is.
    """
    columns = _columns(signature.inputs)
    if signature.inputs is not None:
        for key, name in _named_columns(properties):
            _check_column(key, name, columns)
    for name in properties.monotonic:
        _check_ordered(name, columns.get(name))
    for one, other in properties.symmetric:
        _check_alike(one, other, columns)
    if properties.output is not None and properties.output.judges:
        judged_places(properties.output, signature.outputs)
    if properties.monotonic:
        ordered_number(properties, accuracy, signature.outputs)


def check_pairs(properties: Properties, space: InputSpace) -> None:
    """Refuse a relation of which no pair of valid rows can be made.

    Raises:
        PolicyError: Names the key, and what stands in the way.
    """
    labels = {str(domain.name): domain.name for domain in space.domains if domain.name is not None}
    for name in (*properties.invariant_to, *properties.monotonic):
        changed_pairs(space, labels[name], nulls=name in properties.invariant_to)
    for one, other in properties.symmetric:
        swapped_pairs(space, labels[one], labels[other])
    for change in properties.scale:
        scaled_pairs(space, change)


def judged_places(rule: OutputRule, outputs: Schema | None) -> tuple[OutputPlace, ...]:
    """Return where the answers are held to *rule*.

    Raises:
        PolicyError: No output stands there, or none that could keep to it.
    """
    places = output_places(outputs) if rule.place is None else (_found(rule.place, outputs),)
    hint = f"outputs: {_outputs(outputs)}; name the one that is meant: properties.output.place"
    if rule.labels is None:
        wrong = next((place for place in places if not place.of_numbers), None)
        if wrong is not None:
            what = "probabilities" if rule.simplex else "numbers from min to max"
            raise PolicyError(f"{_KEY}.output: {wrong.words} does not hold {what}", hint=hint)
    if rule.simplex and len(places) == 1 and not places[0].is_array:
        raise PolicyError(f"{_KEY}.output.simplex: {places[0].words} is no array", hint=hint)
    return places


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedNumber:
    """The number of an answer that a monotonic column moves.

    Attributes:
        name: For messages.
        read: Takes one row of answers; raises `NotThere`.
    """

    name: str
    read: Callable[[object], float]


def ordered_number(properties: Properties, accuracy: Accuracy, outputs: Schema | None) -> OrderedNumber:
    """Return the number that `properties.monotonic` is about.

    That is `properties.output.place` where one number stands there; else the only number of the outputs; else the score of
    the positive class, as `accuracy.score` and `accuracy.classes` say where it stands.

    Raises:
        PolicyError: None of these is one number.
    """
    named = None if properties.output is None or properties.output.place is None else properties.output.place
    place = None if named is None else _found(named, outputs)
    if place is not None and (place.is_number or outputs is None):
        return OrderedNumber(name=place.name, read=place.number)
    numbers = [found for found in output_places(outputs) if found.is_number]
    if len(numbers) == 1 or (outputs is None and not (accuracy.score or accuracy.classes)):
        only = numbers[0] if numbers else output_places(outputs)[0]
        return OrderedNumber(name=only.name, read=only.number)
    if accuracy.score is not None or accuracy.classes is not None:
        return _score(accuracy, outputs)
    raise PolicyError(
        f"{_KEY}.monotonic: no output is the one number ({_outputs(outputs)})",
        hint="name it: properties.output.place, or accuracy.score",
    )


def _score(accuracy: Accuracy, outputs: Schema | None) -> OrderedNumber:
    mapping = OutputMapping.of(accuracy)
    if accuracy.score is not None:
        place = _found(accuracy.score, outputs, key="accuracy.score")
        readable = place.is_number or (place.is_array and mapping.classes is not None)
    else:
        places = output_places(outputs)
        readable = (len(places) == 1 and places[0].is_array) or set(mapping.class_names) <= {
            place.output or "" for place in places
        }
    if outputs is not None and not readable:
        hint = "name the output that holds it: properties.output.place"
        raise PolicyError(f"{_KEY}.monotonic: no score among the outputs ({_outputs(outputs)})", hint=hint)

    def read(row: object) -> float:
        try:
            return mapping.score_of(row)
        except UnmappedOutput as error:
            raise NotThere(str(error)) from error

    return OrderedNumber(name=f"the score of {mapping.positive!r}", read=read)


def _found(place: str | int, outputs: Schema | None, *, key: str = f"{_KEY}.output.place") -> OutputPlace:
    try:
        return find_place(outputs, place)
    except NoSuchOutput as error:
        raise PolicyError(f"{key}: no output {place!r}", hint=f"outputs: {_outputs(outputs)}") from error


def _outputs(outputs: Schema | None) -> str:
    return "; ".join(place.words for place in output_places(outputs)[:20])


def _named_columns(properties: Properties) -> Iterator[tuple[str, str]]:
    yield from (("invariant_to", name) for name in properties.invariant_to)
    yield from (("monotonic", name) for name in properties.monotonic)
    yield from (("symmetric", name) for pair in properties.symmetric for name in pair)
    for change in properties.scale:
        for part in ("multiply", "add", "set_", "where"):
            yield from ((f"scale.{part.rstrip('_')}", name) for name in getattr(change, part))


def _columns(inputs: Schema | None) -> dict[str, Column | Tensor]:
    if inputs is None:
        return {}
    if isinstance(inputs, ColumnSchema):
        return {
            str(place if column.name is None else column.name): column for place, column in enumerate(inputs.columns)
        }
    return {tensor.name: tensor for tensor in inputs.tensors if tensor.name is not None}


def _check_column(key: str, name: str, columns: dict[str, Column | Tensor]) -> None:
    if name not in columns:
        have = ", ".join(list(columns)[:20]) or "none that has a name"
        raise PolicyError(f"{_KEY}.{key} names '{name}', which is no input column", hint=f"columns: {have}")


def _check_ordered(name: str, column: Column | Tensor | None) -> None:
    if column is not None and not (isinstance(column, Column) and column.type in _ORDERED):
        raise PolicyError(
            f"{_KEY}.monotonic: '{name}' is {_kind(column)}, whose values have no order",
            hint="numbers, dates and truth values have one",
        )


def _check_alike(one: str, other: str, columns: dict[str, Column | Tensor]) -> None:
    kinds = [_kind(columns[name]) for name in (one, other) if name in columns]
    if len(set(kinds)) > 1:
        raise PolicyError(f"{_KEY}.symmetric: '{one}' is {kinds[0]} and '{other}' {kinds[1]}: they can not be swapped")


def _kind(column: Column | Tensor) -> str:
    if isinstance(column, Tensor):
        return f"a tensor of {column.dtype} and shape {list(column.shape)}"
    return type_name(column.type)
