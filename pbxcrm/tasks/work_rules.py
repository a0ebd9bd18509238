"""Which work ends the task of a lamp: what the checkpoint counts, and nothing else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pbxcrm.shared import reasons
from pbxcrm.shared.errors import Conflict
from pbxcrm.shared.reasons import N_, Reason, reason


@dataclass(frozen=True, slots=True)
class EndingWork:
    """What ends the lamps of one checkpoint for a deal: any one of these.

    ``talk_seconds``: the least length of a conversation, None where none counts. ``field``: key and English name of an empty field whose
    filling counts. ``manager``: a manager may decide.
    """

    checkpoint: str
    talk_seconds: int | None = None
    next_task: bool = False
    field: tuple[str, str] | None = None
    move: bool = False
    manager: bool = False

    @property
    def ways(self) -> tuple[Reason, ...]:
        """The same as phrases, for ``in_words``."""
        found = []
        if self.talk_seconds is not None:
            seconds = self.talk_seconds
            found.append(reason("task.way_talk_long", seconds=seconds) if seconds > 1 else reason("task.way_talk"))
        if self.next_task:
            found.append(reason("task.way_next_task"))
        if self.field is not None:
            found.append(reason("task.way_field", key=self.field[1]))
        if self.move:
            found.append(reason("task.way_move"))
        if self.manager:
            found.append(reason("task.way_manager"))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class WorkActs:
    """What can be done about a task of lamps: the acts that put out all of them, or else each that puts out one."""

    talk: bool = False
    next_task: bool = False
    fields: tuple[tuple[str, str], ...] = ()  # keys and English names
    move: bool = False


def acts_of(works: Sequence[EndingWork]) -> WorkActs:
    """The acts to offer. All but filling in where it is not known which work counts."""
    if not works:
        return WorkActs(talk=True, next_task=True, move=True)

    def offered(counts: Callable[[EndingWork], bool]) -> bool:
        return all(map(counts, works)) if is_enough else any(map(counts, works))

    kinds: tuple[Callable[[EndingWork], bool], ...] = (_talks, _plans, _moves)
    is_enough = any(all(map(counts, works)) for counts in kinds)
    fields = dict.fromkeys(work.field for work in works if work.field is not None)
    return WorkActs(
        offered(_talks), offered(_plans), () if is_enough and len(works) > 1 else tuple(fields), offered(_moves)
    )


def _talks(work: EndingWork) -> bool:
    return work.talk_seconds is not None


def _plans(work: EndingWork) -> bool:
    return work.next_task


def _moves(work: EndingWork) -> bool:
    return work.move


ENDED_BY_WORK = N_("Only work on the deal ends this: {ways}.")
OF_CHECKPOINT = N_("“{checkpoint}”: {ways}")
EITHER = N_("{ways} or {last}")


def in_words(
    works: Sequence[EndingWork], say: Callable[[Reason], str] = reasons.text, _: Callable[[str], str] = N_
) -> str:
    """Which work ends the task, in one sentence; where checkpoints differ, for each of them. ``say`` and ``_`` translate."""
    told = [(work.checkpoint, _either([say(way) for way in work.ways], _)) for work in works if work.ways]
    if len({ways for _name, ways in told}) == 1:
        return _(ENDED_BY_WORK).format(ways=told[0][1])
    each = [_(OF_CHECKPOINT).format(checkpoint=_(name), ways=ways) for name, ways in told]
    return _(ENDED_BY_WORK).format(ways="; ".join(each))


def _either(ways: Sequence[str], _: Callable[[str], str]) -> str:
    *these, last = ways
    return _(EITHER).format(ways=", ".join(these), last=last) if these else last


class EndedByWork(Conflict):
    """A task that only work on its deal ends, as ``works`` say."""

    def __init__(self, code: str, works: Sequence[EndingWork]) -> None:
        super().__init__(code, in_words(works))
        self.works = tuple(works)
