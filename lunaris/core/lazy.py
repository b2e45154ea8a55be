"""A package's public names, imported on use: `from lunaris.pixel import LunarCore` loads torch, `import lunaris.pixel` does not.

The usual module-level `__getattr__` is not enough here: a family has both a file train.py and a function train, and importing the file
makes Python put the module over the function. So the package takes a module type that keeps such names for the functions.
"""

import importlib
import sys
from types import ModuleType
from typing import Any


class LazyPackage(ModuleType):
    """A package that finds its public names in its own files on first use."""

    def __getattr__(self, name: str) -> Any:
        exports = self.__dict__.get("_exports", {})
        if name not in exports:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{self.__name__}.{exports[name]}"), name)
        self.__dict__[name] = value
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and name in self.__dict__.get("_exports", {}):
            return  # Python's import of pixel/train.py; the name belongs to the function
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *self.__dict__.get("_exports", {})})


def export(package: str, names: dict[str, list[str]]) -> None:
    """Make `package` a lazy one. `names` maps a file of the package to the public names in it."""
    module = sys.modules[package]
    exports = {name: file for file, listed in names.items() for name in listed}
    module.__dict__.update(_exports=exports, __all__=sorted(exports))
    module.__class__ = LazyPackage
