"""Options of `crosswind.options.v1` on descriptors, read.

The one place that does, because the stubs type extensions in a way that type checkers cannot follow.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import EnumValueDescriptorProto, FieldDescriptorProto, MethodDescriptorProto

from crosswind.options.v1 import options_pb2

Annotated = FieldDescriptorProto | EnumValueDescriptorProto | MethodDescriptorProto


def annotation(of: Annotated, name: str) -> Any:
    """The value of an option; None where it is not set, and the empty list where it is repeated.

    Args:
        of: a field, a value of an enum, or a method.
        name: of the option, such as `default_value`.
    """
    extension: Any = getattr(options_pb2, name)
    options: Any = of.options
    if extension.is_repeated if hasattr(extension, "is_repeated") else extension.label == extension.LABEL_REPEATED:
        return list(options.Extensions[extension])
    return options.Extensions[extension] if options.HasExtension(extension) else None
