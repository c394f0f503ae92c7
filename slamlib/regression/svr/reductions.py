"""Loops over float32 vectors that the compiler turns into vector instructions.

LLVM vectorises the maximum of a loop only where it is told that no number is NaN; numba's
own max() does not say so and costs ten times as much. Nor does it vectorise a search that
stops at the first hit; the least index of all hits it does.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic


def _no_nan(name):
    """Return the LLVM intrinsic `name` of two float32, compiled under fast-math."""

    @intrinsic
    def operation(typing_context, a, b):
        def generate(context, builder, signature, arguments):
            kind = ir.FunctionType(ir.FloatType(), [ir.FloatType()] * 2)
            function = builder.module.declare_intrinsic(name, [ir.FloatType()], kind)
            return builder.call(function, arguments, fastmath=("fast",))

        return types.float32(types.float32, types.float32), generate

    return operation


larger = _no_nan("llvm.maxnum")
smaller = _no_nan("llvm.minnum")


@njit(cache=True)
def index_of(values, wanted):
    """Return the first index at which `values` equals `wanted`; len(values) if nowhere."""
    found = np.int32(len(values))
    for k in range(np.int32(len(values))):
        found = min(found, np.int32(k) if values[k] == wanted else np.int32(len(values)))
    return found
