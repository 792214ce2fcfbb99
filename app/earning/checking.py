"""Expressions of rules are read and typed before they may be used: pure, no I/O. Source: docs/rules.md."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from app.earning.triggers import MOST, Field, Kind, is_date

LONGEST = 1_000
DEEPEST = 20
_LEVELS = {
    "||": 1, "&&": 2, "==": 3, "!=": 3, "<": 3, "<=": 3, ">": 3, ">=": 3, "in": 3, "+": 4, "-": 4, "*": 5, "/": 5,
    "%": 5,
}  # fmt: skip
_UNWANTED = {Kind.FLAG: "expression_not_flag", Kind.NUMBER: "expression_not_number"}
_METHODS = {"startsWith": Kind.FLAG, "endsWith": Kind.FLAG, "contains": Kind.FLAG, "size": Kind.NUMBER}

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>\d+(?![\w.]))
    | (?P<text>"(?:[^"\\\n]|\\["\\'])*"|'(?:[^'\\\n]|\\["\\'])*')
    | (?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*(?!\w|\s*\())*)
    | (?P<sign>&&|\|\||[=!<>]=|[-+*/%<>!?:()\[\],.])
    )""",
    re.VERBOSE | re.ASCII,
)


class ExpressionFault(Exception):
    """Why an expression is refused: the code of a field fault and what its text needs."""

    def __init__(self, code: str, **context: object) -> None:
        super().__init__(code, context)
        self.code, self.context = code, context


class Token(NamedTuple):
    """A piece of an expression; `at` counts characters from 1."""

    what: str
    text: str
    at: int


class Checked(NamedTuple):
    """An expression that may be compiled, and the fields it names."""

    tokens: tuple[Token, ...]
    names: frozenset[str]

    def rewritten(self, rename: Callable[[str], str]) -> str:
        """The expression with its fields named otherwise."""
        return " ".join(rename(token.text) if token.text in self.names else token.text for token in self.tokens)


def checked(source: str, known: Mapping[str, Field], wanted: Kind) -> Checked:
    """An expression as it may be compiled.

    Raises:
        ExpressionFault: it cannot be read, is too long or too deep, names a field that is not `known`, mixes kinds, or
            gives another kind than `wanted`.
    """
    if len(source) > LONGEST:
        raise ExpressionFault("string_too_long", max_length=LONGEST)
    reader = _Reader(_tokens(source), known)
    kind = reader.whole()
    if kind is not wanted:
        raise ExpressionFault(_UNWANTED[wanted], found=kind)
    return Checked(tuple(reader.tokens[:-1]), frozenset(reader.names))


def _tokens(source: str) -> list[Token]:
    tokens: list[Token] = []
    at, end = 0, len(source.rstrip())
    while at < end:
        match = _TOKEN.match(source, at)
        if match is None:
            found = source[at:].lstrip()
            raise ExpressionFault("expression_unreadable", at=len(source) - len(found) + 1, found=found[:20])
        what = str(match.lastgroup)
        tokens.append(Token(what, match[what], match.start(what) + 1))
        at = match.end()
    return [*tokens, Token("end", "", end + 1)]


class _Reader:
    """Recursive descent over CEL's grammar, as far as rules need it; each method answers the kind of what it read."""

    def __init__(self, tokens: list[Token], known: Mapping[str, Field]) -> None:
        self.tokens, self.known = tokens, known
        self.names: set[str] = set()
        self.index = self.depth = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.index]

    def take(self, *signs: str) -> Token | None:
        token = self.next
        if token.text not in signs or token.what == "text":
            return None
        self.index += 1
        return token

    def expect(self, sign: str) -> None:
        if self.take(sign) is None:
            raise self.unreadable()

    def unreadable(self) -> ExpressionFault:
        return ExpressionFault("expression_unreadable", at=self.next.at, found=self.next.text[:20])

    def whole(self) -> Kind:
        kind = self.choice()
        if self.next.what != "end":
            raise self.unreadable()
        return kind

    def choice(self) -> Kind:
        """`condition ? this : that`, or no choice at all."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise ExpressionFault("expression_too_deep", limit=DEEPEST)
        kind = self.operation(1)
        if sign := self.take("?"):
            this = self.operation(1)
            self.expect(":")
            that = self.choice()
            if kind is not Kind.FLAG or this is not that:
                raise _mixed(sign, kind, this, that)
            kind = this
        self.depth -= 1
        return kind

    def operation(self, least: int) -> Kind:
        """Operands joined by operators that bind at least so strongly."""
        left = self.operand()
        while (level := self.level()) >= least:
            sign = self.next
            self.index += 1
            right = self.listed() if sign.text == "in" else self.operation(level + 1)
            left = _joined(sign, left, right)
        return left

    def level(self) -> int:
        return 0 if self.next.what == "text" else _LEVELS.get(self.next.text, 0)

    def listed(self) -> Kind:
        """What stands in `[this, that]`, all of one kind."""
        self.expect("[")
        kind = self.choice()
        while sign := self.take(","):
            if (other := self.choice()) is not kind:
                raise _mixed(sign, kind, other)
        self.expect("]")
        return kind

    def operand(self) -> Kind:
        sign = self.take("!", "-")
        kind = self.primary()
        while self.take("."):
            kind = self.method(kind)
        return _turned(sign, kind) if sign else kind

    def primary(self) -> Kind:
        if self.take("("):
            kind = self.choice()
            self.expect(")")
            return kind
        token = self.next
        if token.what in {"sign", "end"}:
            raise self.unreadable()
        self.index += 1
        match token.what:
            case "number":
                return _number(token)
            case "text":
                return Kind.DATE if is_date(token.text[1:-1]) else Kind.TEXT
        return Kind.FLAG if token.text in {"true", "false"} else self.named(token)

    def named(self, token: Token) -> Kind:
        if token.text not in self.known:
            raise ExpressionFault("expression_unknown_name", name=token.text, at=token.at, known=", ".join(self.known))
        self.names.add(token.text)
        return self.known[token.text].kind

    def method(self, kind: Kind) -> Kind:
        """`.size()`, or a question about a text such as `.startsWith("H")`."""
        token = self.next
        if token.text not in _METHODS:
            raise ExpressionFault("expression_unknown_name", name=token.text, at=token.at, known=", ".join(_METHODS))
        self.index += 1
        self.expect("(")
        if kind is not Kind.TEXT or (token.text != "size" and self.choice() is not Kind.TEXT):
            raise ExpressionFault("expression_method_of_text", name=token.text, at=token.at)
        self.expect(")")
        return _METHODS[token.text]


def _joined(sign: Token, left: Kind, right: Kind) -> Kind:
    """What two operands give: arithmetic takes numbers, logic flags, and comparison two of a kind."""
    match sign.text:
        case "&&" | "||":
            fits, kind = left is right is Kind.FLAG, Kind.FLAG
        case "==" | "!=" | "in":
            fits, kind = left is right, Kind.FLAG
        case "<" | "<=" | ">" | ">=":
            fits, kind = left is right is not Kind.FLAG, Kind.FLAG
        case _:
            fits, kind = left is right is Kind.NUMBER, Kind.NUMBER
    if not fits:
        raise _mixed(sign, left, right)
    return kind


def _turned(sign: Token, kind: Kind) -> Kind:
    if kind is not (Kind.FLAG if sign.text == "!" else Kind.NUMBER):
        raise _mixed(sign, kind)
    return kind


def _number(token: Token) -> Kind:
    if int(token.text) > MOST:
        raise ExpressionFault("expression_number_too_large", at=token.at, limit=MOST)
    return Kind.NUMBER


def _mixed(sign: Token, *kinds: Kind) -> ExpressionFault:
    return ExpressionFault("expression_mixed", sign=sign.text, at=sign.at, kinds=", ".join(kinds))
