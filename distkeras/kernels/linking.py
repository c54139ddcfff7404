"""Functions that kernels call are compiled with the kernels, once, and not by themselves before.

Numba optimises each function and makes machine code of it before it is linked into its callers, where this is done
again: where calls are nested, once for each level. Nothing runs the machine code of such a function. Here it stays LLVM
code with its simplest optimisations, as loops vectorise worse without these, until a kernel that calls it is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba.core import compiler, typed_passes
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_machinery import AnalysisPass, register_pass


def linked(function: Callable, **flags: Any) -> Callable:
    """Make `function` callable from kernels, and from there only; Python calls its `py_func`."""
    dispatcher = numba.njit(**flags, no_cpython_wrapper=True, pipeline_class=_LinkedCompiler)(function)

    def add_overload(result: Any) -> None:
        dispatcher.overloads[tuple(result.signature.args)] = result

    def refuse(*_: Any) -> None:
        raise TypeError(f"{function.__qualname__} is compiled into kernels only; call {function.__qualname__}.py_func")

    dispatcher.add_overload, dispatcher._compile_for_args = add_overload, refuse
    return dispatcher


class _LinkedLibrary(JITCodeLibrary):
    """LLVM code, with that of the functions it calls; each is optimised alone only, and there is no machine code."""

    @property
    def codegen(self) -> _WithoutEnvironment:
        """What the function's environment, which is for its calls from Python, is made known to."""
        return _WithoutEnvironment()

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


class _WithoutEnvironment:
    def set_env(self, name: str, environment: Any) -> None:
        """There is no machine code that would look for it."""


@register_pass(mutates_CFG=False, analysis_only=True)
class _ChooseLibrary(AnalysisPass):
    """Has lowering write into a library of our own."""

    _name = "distkeras_choose_library"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        state.library = _LinkedLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        return False


class _LinkedCompiler(compiler.CompilerBase):
    def define_pipelines(self) -> list[Any]:
        """Numba's passes, and the choice of the library among them."""
        passes = compiler.DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.add_pass_after(_ChooseLibrary, typed_passes.NopythonTypeInference)
        passes.finalize()
        return [passes]
