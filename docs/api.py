"""Have Sphinx describe the public interface from the code, as the pages of `reference/api` name it.

A page has blocks of names (tools/public.py shows one). Each name becomes autodoc's directive for what it is:
a class with its members, inherited ones included where the base is described nowhere; a function; a number.
Then come four things that autodoc cannot know:

* A message is made by `dqlitewire.declare`, its constructor generated without types: they are taken from the
  declaration, and type, schemas and answers are told below.
* Single backticks in docstrings name code; where they name a public object they lead to it.
* An object that several modules export is described once. All of its public paths lead there, and so does the
  private path of the module that holds it, which is what annotations have.
* Names of the standard library lead nowhere: there is no network when the pages are built.
"""

from __future__ import annotations

import builtins
import enum
import importlib
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.inspect import stringify_signature

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dqlitewire.conversation import explain_failure
from dqlitewire.messages import REGISTRY, Message
from tools.public import BLOCK, described, exported, homes, listed, words

PACKAGE = "dqlitewire."
HOMES = homes()  # public path -> path of the description
DESCRIBED = described()
WORDS = words()
PUBLIC = exported()
KINDS = {id(PUBLIC[path]): path for path in DESCRIBED if inspect.isclass(PUBLIC[path])}
STANDARD = sys.stdlib_module_names
CODE = re.compile(r"(``.*?``)|`([^`]+)`", re.DOTALL)
# characters with a meaning, which they do not have in blocks of code
HIDDEN = {ord(one): 0xE000 + at for at, one in enumerate("`*|_\\")}
SHOWN = {hidden: shown for shown, hidden in HIDDEN.items()}
SECTIONS = re.compile(r"(Args|Attributes|Raises|Returns|Yields):$")
NAME = re.compile(r"([A-Za-z_][\w.]*)(\(\))?")


# ---------------------------------------------------------------- blocks of names


def _directives(module: str, names: list[str]) -> Iterator[str]:
    """Yield the lines of reStructuredText that describe names of a module."""
    yield f".. py:currentmodule:: {module}"
    yield ""
    loaded = importlib.import_module(module)
    for name in names:
        thing = getattr(loaded, name)
        yield from _directive(name, thing)
        yield ""


def _directive(name: str, thing: Any) -> Iterator[str]:
    if not inspect.isclass(thing):
        if inspect.isroutine(thing):
            yield f".. autofunction:: {name}"
            return
        yield f".. autodata:: {name}"
        if isinstance(thing, dict):  # a table of the code, not a number to look up
            yield "   :no-value:"
        return
    yield f".. auto{'exception' if issubclass(thing, BaseException) else 'class'}:: {name}"
    yield "   :members:"
    if _public_bases(thing):
        yield "   :show-inheritance:"
    if issubclass(thing, enum.Enum):
        yield "   :undoc-members:"
        return
    if issubclass(thing, Message) and thing is not Message:
        return  # what all messages have is told once
    if fields := getattr(thing, "_fields", ()):  # of a named tuple: its docstring has them
        yield f"   :exclude-members: {', '.join(fields)}"
    skipped = [base.__name__ for base in thing.__mro__[1:] if _has_a_page(base)]
    yield f"   :inherited-members: {', '.join(dict.fromkeys(skipped))}"


def _has_a_page(kind: type) -> bool:
    return id(kind) in KINDS or kind.__module__ in STANDARD


def _expand(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put the directives in place of the blocks, before the page is parsed."""

    def block(found: re.Match[str]) -> str:
        lines = "\n".join(_directives(found[1], [name for name, _ in listed(found[2])]))
        return f"```{{eval-rst}}\n{lines}\n```"

    source[0] = BLOCK.sub(block, source[0])


# ---------------------------------------------------------------- docstrings


def _docstring(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Make roles or literals of single backticks, and say of a message what its declaration says."""
    if what == "data":
        lines[:] = _about(name, thing)
    if inspect.isclass(thing) and issubclass(thing, Message) and (wire := _on_the_wire(thing)):
        end = next((at for at, line in enumerate(lines) if SECTIONS.match(line)), len(lines))
        lines[end:end] = [wire, ""]
    found = "\n".join(_returns(_code_blocks(lines)))
    parts, end = [], 0
    for code in CODE.finditer(found):
        parts.append(_escaped(found[end : code.start()]))
        parts.append(code[0] if code[1] else _code(code[2], name))
        end = code.end()
        if found[end : end + 1].isalnum():  # `Pair`s
            parts.append("\\ ")
    lines[:] = "".join([*parts, _escaped(found[end:])]).translate(SHOWN).splitlines()
    if what in ("property", "attribute", "data"):
        lines[:0] = ["..", ""]  # napoleon takes what stands before a colon in the first line for a type


def _code_blocks(lines: list[str]) -> Iterator[str]:
    """Mark as code what is indented below text and belongs to no section; nothing in it means anything."""
    section = False
    for at, line in enumerate(lines):
        if line and not line[0].isspace():
            section = bool(SECTIONS.match(line)) or line.startswith(("* ", "- "))
        if line.startswith("    ") and not section and not (at and lines[at - 1]):
            yield "::"
            yield ""
        yield line.translate(HIDDEN) if line.startswith("    ") and not section else line


def _returns(lines: Iterable[str]) -> Iterator[str]:
    """Write what is returned as a field: napoleon takes what stands before a colon for a type."""
    field = ""
    for line in lines:
        if found := SECTIONS.match(line):
            field = {"Returns": ":returns:", "Yields": ":yields:"}.get(found[1], "")
            if field:
                continue
        elif line and not line[0].isspace():
            field = ""
        if field and line:
            yield f"{field} {line.strip()}" if field[0] == ":" else line
            field = " "
        else:
            yield line


def _about(path: str, thing: Any) -> list[str]:
    """What the page says of data; of a failure's code, what it means."""
    told = WORDS.get(path, "")
    if not told and isinstance(thing, int) and re.search(r"\.(SQLITE|DQLITE)_", path):
        told = explain_failure(thing, "").meaning
        told = "" if "without a rule" in told else told
    first = told[:1] if told.startswith("dqlite") else told[:1].upper()
    return [f"{first}{told[1:]}."] if told else []


def _escaped(text: str) -> str:
    """Text in which no character marks anything: no docstring of the package means reStructuredText."""
    head, rest = re.match(r"( *(?:[*-] )?)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    return head + re.sub(r"([*|\\])|(?<=\w)_(?=\W|$)", lambda found: "\\" + found[0], rest)


def _code(text: str, near: str) -> str:
    """A role for the public object that a text in backticks names, seen from an object; else a literal."""
    if (found := NAME.fullmatch(text)) and (target := _target(found[1], near)):
        return f":py:obj:`{text} <{target}>`"
    return f"``{text}``"


def _target(name: str, near: str) -> str | None:
    """The described path of what a name means in the docstring of an object."""
    parts = near.split(".")
    scopes = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
    for path in [*(f"{scope}.{name}" for scope in scopes), name]:
        if path == near:
            return None  # of itself
        if found := _member(path):
            return found
    same = {home for path, home in HOMES.items() if path.endswith(f".{name}")}
    return same.pop() if len(same) == 1 else None


def _member(path: str) -> str | None:
    """The described path of a public object or of a member of one."""
    if path in HOMES:
        return HOMES[path]
    owner, _, member = path.rpartition(".")
    if owner not in HOMES or member.startswith("_") or not inspect.isclass(thing := PUBLIC[owner]):
        return None
    held = inspect.getattr_static(thing, member, None)
    if not (inspect.isroutine(held) or isinstance(held, property | classmethod | staticmethod | enum.Enum)):
        return None
    for base in reversed(thing.__mro__):  # where it is described: in the first base that has a page
        if id(base) in KINDS and hasattr(base, member):
            return f"{KINDS[id(base)]}.{member}"
    return None


# ---------------------------------------------------------------- messages


def _on_the_wire(kind: type[Message]) -> str:
    code = getattr(kind, "MSG_TYPE", None)
    if code is None or kind not in REGISTRY.values():
        return ""
    schemas = " or ".join(map(str, kind.SCHEMAS))
    told = f"Type {int(code)}, `{type(code).__name__}.{code.name}`; schema {schemas}"
    if answers := getattr(kind, "ANSWERS", ()):
        names = " or ".join(f"`{REGISTRY[False, answer].__name__}`" for answer in answers)
        told += f"; answered by {names}"
    return f"{told}."


def _signature(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str, str | None] | None:
    """Give the arguments of a generated constructor the types of the declaration; leave private ones out."""
    if signature is None:
        return None
    signature = re.sub(r", _\w+: [^=]*= <factory>", "", signature)  # what a class keeps for itself
    signature = re.sub(r"(: list\[[^=]*\] = )<factory>", r"\1[]", signature)
    if not (inspect.isclass(thing) and "FIELDS" in vars(thing)):
        return re.sub(r"<(\w+\.\w+): [^>]*>", r"\1", signature), returns  # members of enumerations
    found = inspect.signature(thing)
    declared: dict[str, Any] = {}
    for base in reversed(thing.__mro__):
        declared |= inspect.get_annotations(base)
    typed = []
    for key, one in found.parameters.items():
        kind = one.annotation if one.annotation is not one.empty else declared.get(key, one.empty)
        if one.default is None and isinstance(kind, str) and "None" not in kind:
            kind += " | None"  # what the field has is chosen when the message is made
        typed.append(one.replace(annotation=kind))
    return stringify_signature(found.replace(parameters=typed, return_annotation=found.empty)), None


# ---------------------------------------------------------------- names that lead somewhere else


def _aliases(app: Sphinx, env: BuildEnvironment) -> None:
    """Let every public path of an object lead to its description."""
    objects = env.domains["py"].objects  # type: ignore[attr-defined]
    for path, home in HOMES.items():
        if path != home and home in objects:
            objects[path] = objects[home]._replace(aliased=True)
            for member in [name for name in objects if name.startswith(f"{home}.")]:
                objects.setdefault(path + member[len(home) :], objects[member]._replace(aliased=True))


def _tidy(app: Sphinx, doctree: nodes.document) -> None:
    """Leave types that Python has without a link, and call attributes what they are.

    `type` would otherwise be taken for an attribute of some class that is called so.
    """
    for label in doctree.findall(nodes.field_name):
        if label.astext() == "Variables":
            label[:] = [nodes.Text("Attributes")]
    for node in list(doctree.findall(pending_xref)):
        if node.get("refdomain") == "py" and hasattr(builtins, str(node.get("reftarget"))):
            node.replace_self(node.children)


def _bases(app: Sphinx, name: str, thing: Any, options: Any, bases: list[type]) -> None:
    """Show the nearest bases that can be looked up, in place of private ones."""
    bases[:] = _public_bases(thing)


def _public_bases(kind: type) -> list[type]:
    found: list[type] = []
    for base in kind.__mro__[1:]:
        if base is not object and _has_a_page(base) and not any(issubclass(one, base) for one in found):
            found.append(base)
    return found


def _elsewhere(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: nodes.Element
) -> nodes.Element | None:
    """Lead annotations to public objects; leave all others as they are."""
    if node.get("refdomain") != "py":
        return None
    target = str(node.get("reftarget", ""))
    if home := _home_of(target):
        return env.domains["py"].resolve_xref(  # type: ignore[attr-defined]
            env, node["refdoc"], app.builder, "obj", home, node, shown
        )
    annotation = node.get("reftype") == "class" and str(node.get("refdoc", "")).startswith("reference/api/")
    is_name = re.fullmatch(r"[A-Za-z_][\w.]*", target)
    if target.partition(".")[0] in STANDARD | OTHERS or (annotation and is_name):
        return shown
    return None


OTHERS = {"apsw", "hypothesis", "pytest"}  # packages that are not described here


def _home_of(target: str) -> str | None:
    """The described path of a name as annotations have it: a private path, or the name alone."""
    module, _, name = target.rpartition(".")
    if target.startswith(PACKAGE):
        try:
            thing = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            return None
        return next((HOMES[path] for path, one in PUBLIC.items() if one is thing and path in HOMES), None)
    same = {home for path, home in HOMES.items() if path.rpartition(".")[2] == name}
    return same.pop() if len(same) == 1 and not module else None


def setup(app: Sphinx) -> dict[str, object]:
    """Tell Sphinx of it."""
    app.connect("source-read", _expand)
    app.connect("autodoc-process-docstring", _docstring, priority=400)  # napoleon comes behind
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-process-bases", _bases)
    app.connect("doctree-read", _tidy)
    app.connect("env-updated", _aliases)
    app.connect("missing-reference", _elsewhere)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
