"""What cannot be seen in the files: it is asked, or reported with the options that answer it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hcat_core.errors import UsageError


@dataclass(frozen=True)
class Question:
    """Something that only the user knows.

    Attributes:
        option: of the command line, that answers it, such as ``--time``.
        text: the question, as the end of a sentence.
        likely: answers that are likely, the likeliest first.
        possible: every answer there is; empty where it is any text.
    """

    option: str
    text: str
    likely: tuple[str, ...] = ()
    possible: tuple[str, ...] = ()


Ask = Callable[[Question], str | None]


@dataclass
class Interview:
    """Collects what was seen and decided, and the questions that stayed open.

    Attributes:
        ask: asks the user; None where nobody can answer.
        seen: sentences on what was seen and decided, in order.
        open: questions without an answer.
    """

    ask: Ask | None = None
    seen: list[str] = field(default_factory=list)
    open: list[Question] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Report what was seen or decided."""
        self.seen.append(text)

    def answer(self, given: str | None, question: Question) -> str | None:
        """What the user gave by the option, or answers now; None where it stays open."""
        if given is not None:
            return given
        answer = None if self.ask is None else self.ask(question)
        if answer is None:
            self.open.append(question)
        return answer

    def refuse(self, option: str, text: str) -> None:
        """Report what is wrong with an option's value, which no answer mends."""
        self.open.append(Question(option, text))

    def finish(self) -> None:
        """Stop where a question stayed open.

        Raises:
            UsageError: with all of them.
        """
        if not self.open:
            return
        width = max(len(question.option) for question in self.open)
        lines = [f"  {one.option:<{width}}  {one.text}{_likely(one)}" for one in self.open]
        number = "1 option is" if len(lines) == 1 else f"{len(lines)} options are"
        raise UsageError("\n".join([f"hcat init cannot see everything: {number} needed", *lines]))


def _likely(question: Question) -> str:
    return f"; perhaps {' or '.join(question.likely[:4])}" if question.likely else ""
