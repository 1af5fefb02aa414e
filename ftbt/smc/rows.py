"""The row that a step writes, and those of its fields that somebody asked for.

A step sets every field of its outputs, and most strategies read a handful of them. A loop over a
whole series therefore lets the step write into a row of its own (`blank`) and takes from it what
the outputs have room for (`keep`). The compiler sees that nobody else looks at the row, and leaves
out whatever is computed for the other fields alone - provided that every function that is handed
the row is `inlined`.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

_ALIGN = 8


def _blank_plain(wide: Any) -> Any:
    """Return a record of zeros of the type of the array *wide*."""
    return np.zeros(1, wide.dtype)[0]


def _keep_plain(row: Any, out: Any) -> None:
    """Copy from *row* the fields that both records have."""
    for name in out.dtype.names:
        if name in row.dtype.names:
            out[name] = row[name]


def _place(builder: Any, record: Any, offset: int) -> Any:
    """Return the address of a float64 inside *record*."""
    start = builder.bitcast(record, ir.IntType(8).as_pointer())
    field = builder.gep(start, [ir.Constant(ir.IntType(64), offset)])
    return builder.bitcast(field, ir.DoubleType().as_pointer())


def _blank(_: Any, wide: Any) -> Any:
    record = wide.dtype

    def generate(context: Any, builder: Any, __: Any, ___: Any) -> Any:
        with builder.goto_entry_block():
            row = builder.alloca(context.get_data_type(record))
        row.align = _ALIGN
        for name, _kind in record.members:
            nothing = ir.Constant(ir.DoubleType(), 0.0)
            builder.store(nothing, _place(builder, row, record.offset(name)), align=_ALIGN)
        return builder.bitcast(row, context.get_value_type(record))

    return record(wide), generate


def _keep(_: Any, row: Any, out: Any) -> Any:
    def generate(context: Any, builder: Any, __: Any, records: Any) -> Any:
        for name, _kind in out.members:
            if name in row.fields:
                source = _place(builder, records[0], row.offset(name))
                target = _place(builder, records[1], out.offset(name))
                builder.store(builder.load(source, align=_ALIGN), target, align=_ALIGN)
        return context.get_dummy_value()

    return types.void(row, out), generate


def _own_plain(record: Any) -> Any:
    """Return a copy of *record*."""
    return record.copy()


def _own(_: Any, record: Any) -> Any:
    def generate(context: Any, builder: Any, __: Any, records: Any) -> Any:
        content = ir.ArrayType(ir.IntType(8), record.size)
        with builder.goto_entry_block():
            copy = builder.alloca(content)
        copy.align = _ALIGN
        given = builder.bitcast(records[0], content.as_pointer())
        count = ir.Constant(ir.IntType(64), record.size)
        memcpy: Any = cgutils.raw_memcpy
        memcpy(builder, copy, given, count, 1, align=1)
        return builder.bitcast(copy, context.get_value_type(record))

    return record(record), generate


def asks(*names: str) -> Any:
    """Return what tells compiled code whether a record has one of the fields *names*.

    The answer is a constant: what depends on it is left out by the compiler, not jumped over.
    """

    def answer(_: Any, out: Any) -> Any:
        found = any(name in out.fields for name in names)

        def generate(*__: Any) -> Any:
            return ir.Constant(ir.IntType(1), int(found))

        return types.boolean(out), generate

    def plain(out: Any) -> bool:
        return any(name in names for name in out.dtype.names)

    return intrinsic(answer) if _COMPILES else plain


_COMPILES = not numba.config.DISABLE_JIT  # type: ignore[attr-defined]

# `row = blank(wide)`: a record of zeros of the type of the array *wide*, all fields float64.
blank: Any = intrinsic(_blank) if _COMPILES else _blank_plain
# `keep(row, out)`: copy from *row* the fields that both records have.
keep: Any = intrinsic(_keep) if _COMPILES else _keep_plain
# `mine = own(record)`: a copy that nobody else sees, so that the compiler may keep its numbers in
# registers from one bar to the next. A state in memory is read and written at every step.
own: Any = intrinsic(_own) if _COMPILES else _own_plain
