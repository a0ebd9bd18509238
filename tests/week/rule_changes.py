"""What an administrator changes in the middle of the week."""

from dataclasses import dataclass
from datetime import date

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calendars.actions import CalendarChange, change_calendar
from pbxcrm.calendars.leave_actions import NewLeave, create_leave
from pbxcrm.callbacks.actions import change_options
from pbxcrm.checkpoints.actions import change_checkpoint
from pbxcrm.checkpoints.drafts import CheckpointChange, StepChange
from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep
from pbxcrm.deals.models import StageKind
from pbxcrm.deals.pipeline_actions import archive_stage, change_stage
from pbxcrm.deals.pipeline_drafts import StageChange
from pbxcrm.people.actions import edit_user
from pbxcrm.shared import background_jobs, timers
from tests.week import reference_facts
from tests.week.reference_facts import Away
from tests.week.simulation import Simulation
from tests.week.world import (
    HOLIDAY,
    moment,
    reload_rules,
    reload_stages,
    typed,
)


@dataclass(slots=True)
class Rules:
    """What an administrator changes in the middle of the week."""

    play: Simulation

    async def holiday(self) -> None:
        await self._days("office", HOLIDAY, [])

    async def short_day(self) -> None:
        await self._days("shop", date(2026, 10, 24), [(480, 660)])

    async def working_sunday(self) -> None:
        await self._days("office", date(2026, 10, 25), [(600, 840)])

    async def _days(self, name: str, day: date, spans: list[tuple[int, int]]) -> None:
        world = self.play.world
        days = world.days.setdefault(name, {})
        days[day] = spans
        said = [(each, typed([hours])[0], "Changed") for each, hours in sorted(days.items())]
        await self._change(name, CalendarChange(days=said))

    async def shorter_nights(self) -> None:
        zone, _ = self.play.world.weeks["night"]
        week = [[(1380, 1800)]] * 7
        self.play.world.weeks["night"] = (zone, week)
        await self._change("night", CalendarChange(week=typed(week)))

    async def _change(self, name: str, change: CalendarChange) -> None:
        play = self.play
        calendar = play.world.calendars[name]
        assert await play.do(lambda s: change_calendar(s, play.admin, calendar, change, now=play.at))
        play.world.lay_out(name)
        await self._recomputed()

    async def _recomputed(self) -> None:
        """The worker does what is left of it at once."""
        while await background_jobs.work_on(self.play.database, self.play.at):
            pass
        self.play.office.look_at_all(self.play.now)

    async def norm(self) -> None:
        play = self.play
        stage = play.dice.choice([each for each in play.world.open_stages() if each.norm_minutes])
        new = StageChange(norm_minutes=max(15, int((stage.norm_minutes or 0) * play.dice.choice([0.4, 0.7, 1.5, 2]))))
        assert await play.do(lambda s: change_stage(s, play.admin, stage.id or 0, new, now=play.at))
        await reload_stages(play.database, play.world)
        await self._recomputed()

    async def callbacks(self) -> None:
        play = self.play
        values = {
            "callback_due_minutes": play.dice.choice([10, 30, 45]),
            "callback_pause_minutes": play.dice.choice([5, 30]),
        }
        assert await play.do(lambda s: change_options(s, play.admin, values, now=play.at))
        await reload_rules(play.database, play.world)
        await self._recomputed()

    async def silence(self) -> None:
        """Another norm and reaction pause, beginning now."""
        play = self.play
        rule = next(each for each in play.office.rules.values() if each.trigger == "silence")
        steps = [
            StepChange(200, "responsible", "task"),
            StepChange(90, "manager", "control"),
            StepChange(60, "role:admin", "control"),
        ]
        new = CheckpointChange(
            "Silence", "silence", steps, work=sorted(rule.works), pipeline_id=rule.pipeline_id,
            talked_seconds=rule.talked_seconds, begin_now=True,
        )  # fmt: skip
        assert await play.do(lambda s: change_checkpoint(s, play.admin, rule.id, new, now=play.at))
        await reload_rules(play.database, play.world)
        await self._recomputed()

    async def switch(self, *, is_on: bool) -> None:
        """The checkpoints of all stages are switched off, or on again."""
        play = self.play
        for rule in [each for each in play.office.rules.values() if each.trigger == "stage"]:

            async def act(session: AsyncSession, rule: reference_facts.ReferenceRule = rule) -> None:
                row = await session.get_one(Checkpoint, rule.id)
                query = select(CheckpointStep).where(CheckpointStep.checkpoint_id == rule.id)
                steps = (await session.exec(query.order_by(col(CheckpointStep.position)))).all()
                said = [StepChange(each.after_minutes, each.whom, each.what) for each in steps]
                new = CheckpointChange(
                    row.name, row.trigger, said, row.work, row.pipeline_id, row.stage_id, row.field,
                    talked_seconds=row.talked_seconds, is_active=is_on,
                )  # fmt: skip
                await change_checkpoint(session, play.admin, rule.id, new, now=play.at)

            await play.do(act)  # refused where the stage is gone
        await reload_rules(play.database, play.world)
        await self._recomputed()

    async def leave(self, login: str, days: int, deputy: str | None) -> None:
        play = self.play
        who, instead = self._person(login), self._person(deputy).id if deputy else None
        new = NewLeave(who.id, play.at, moment(play.now + days * 1440), instead)
        assert await play.do(lambda s: create_leave(s, play.admin, new, now=play.at))
        play.office.away.append(Away(who.id, play.now, play.now + days * 1440, instead))
        await play.follow_who_is_there()
        await self._recomputed()
        play.plan(play.now + days * 1440, self._recomputed)  # the end; who is there is looked at after each act

    async def leaves_us(self, login: str) -> None:
        who = self._person(login)
        await self._edit(login, is_active=False, team=who.team)
        self.play.office.left(who.id, self.play.now)
        await self._recomputed()

    async def other_team(self, login: str, team: int) -> None:
        await self._edit(login, is_active=True, team=team)
        self._person(login).team = team
        await self._recomputed()

    async def _edit(self, login: str, *, is_active: bool, team: int | None) -> None:
        play, who = self.play, self._person(login)

        async def act(session: AsyncSession) -> None:
            await edit_user(
                session, play.admin, who.id, name=login.title(), role=who.role, extensions=[play.world.extensions[who.id]],
                team=team, is_active=is_active, now=play.at,
            )  # fmt: skip

        assert await play.do(act)

    def _person(self, login: str) -> reference_facts.ReferencePerson:
        return next(each for each in self.play.office.people.values() if each.login == login)

    async def fewer_stages(self) -> None:
        """A stage goes whose deals have armed and burning lamps; the worker moves what is left."""
        play = self.play
        stages = [each for each in play.world.open_stages() if each.norm_minutes and each.kind == StageKind.OPEN]
        stage = play.dice.choice(stages)
        to = play.dice.choice([each for each in play.world.open_stages(stage.pipeline_id) if each.id != stage.id])
        assert await play.do(lambda s: archive_stage(s, play.admin, stage.id or 0, to.id, now=play.at))
        while await timers.sweep(play.database, play.at):
            pass
        await reload_stages(play.database, play.world)
        await play.look_around(play.world.clients[0], "moved")
