"""The slow reference of lamps: it lives through the week minute by minute and counts, with no code of the product.

A minute is a number since the beginning of the week. A clock counts the working minutes that have passed since it began; a lamp lights
with the minute that completes its norm. Whatever changes a fact lets the clocks of that deal or callback be counted again from scratch.
"""

from collections.abc import Iterable

from tests.week.reference_facts import (
    LONG_AGO,
    Away,
    Callback,
    Hours,
    Planned,
    ReferenceAct,
    ReferenceDeal,
    ReferenceLamp,
    ReferencePerson,
    ReferenceRule,
    RunningClock,
    Subject,
)


class ReferenceOffice:
    """The state of the office at a minute, and all lamps until then."""

    def __init__(self) -> None:
        self.hours: dict[int, Hours] = {}
        self.default_calendar = 0
        self.calendar_of_team: dict[int, int] = {}
        self.manager_of_team: dict[int, int] = {}
        self.people: dict[int, ReferencePerson] = {}
        self.away: list[Away] = []
        self.norms: dict[int, int | None] = {}
        self.rules: dict[int, ReferenceRule] = {}
        self.deals: dict[int, ReferenceDeal] = {}
        self.callbacks: dict[int, Callback] = {}
        self.lamps: list[ReferenceLamp] = []
        self.burning: dict[tuple[Subject, int], list[ReferenceLamp]] = {}
        self.running: dict[tuple[Subject, int], RunningClock] = {}
        self.fired: set[tuple[object, ...]] = set()

    # Time

    def light(self, now: int) -> int:
        """What a worker does at this minute. Returns how many lit."""
        ripe = [each for each in self.running.values() if self._is_ripe(each, now)]
        for each in ripe:
            owner_id = self._owner(each.subject)
            whom = each.rule.steps[each.step][1]
            addressee = self.asked(whom, owner_id, now)
            lamp = ReferenceLamp(each.subject, each.rule.id, each.step, each.entry, now, now, owner_id, addressee)
            lamp.instead = self._stands_in(whom, owner_id, now)
            self.lamps.append(lamp)
            self.burning.setdefault((each.subject, each.rule.id), []).append(lamp)
            self.fired.add((each.rule.id, each.subject, each.entry, each.step, each.since if each.step else 0))
            self._arm(each.subject, each.rule, each.entry, now)
        return len(ripe)

    def pass_minute(self, now: int) -> None:
        for each in self.running.values():
            if now >= each.since and each.hours.open[now - LONG_AGO] and (not each.rests or each.counts(now)):
                each.passed += 1

    def _is_ripe(self, each: RunningClock, now: int) -> bool:
        if each.passed < each.needed or now < each.since:
            return False
        return each.needed > 0 or each.passed > 0 or each.counts(now)  # no norm: at the first working minute

    # Facts

    def look(self, subject: Subject, now: int, *, decided: str = "") -> None:
        """Count the clocks of a deal or callback again, because one of its facts has changed."""
        rules = [rule for rule in self.rules.values() if self._clock(subject, rule) is not None]
        others = [rule for rule in list(self._rules_with(subject)) if rule not in rules]
        for rule in [*rules, *others]:
            clock = self._clock(subject, rule)
            key = (subject, rule.id)
            if clock is not None:
                self._hand_over(subject, rule, clock[0], now)
            for lamp in list(self.burning.get(key, ())):
                if clock is None or lamp.entry != clock[0]:
                    self.put_out(lamp, now, decided or self._why(subject, rule))
            self.running.pop(key, None)
            if clock is not None:
                self._arm(subject, rule, clock[0], now)

    def look_at_all(self, now: int) -> None:
        for deal_id in self.deals:
            self.look(("deal", deal_id), now)
        for callback_id in self.callbacks:
            self.look(("callback", callback_id), now)

    def put_out(self, lamp: ReferenceLamp, now: int, why: str) -> None:
        lamp.out_at, lamp.why = now, why
        self.burning[lamp.subject, lamp.rule_id].remove(lamp)

    def left(self, user_id: int, now: int) -> None:
        """Somebody has left: what was asked of them is asked of somebody else."""
        self.people[user_id].is_active = False
        self.follow_who_is_there(now, [])

    @property
    def somebody_stands_in(self) -> bool:
        return any(lamp.instead for lamps in self.burning.values() for lamp in lamps)

    def follow_who_is_there(self, now: int, acts: Iterable[ReferenceAct]) -> None:
        """What was asked of somebody who is not there is asked of somebody else; what somebody was asked instead comes back, unless they
        have worked on it (``acts``).
        """
        known = list(acts)
        for (subject, rule_id), lamps in list(self.burning.items()):
            changed = False
            for lamp in lamps:
                away = lamp.addressee_id is None or not self._is_there(lamp.addressee_id, now)
                whom = self.rules[rule_id].steps[lamp.step][1] if lamp.step < len(self.rules[rule_id].steps) else ""
                if not (whom and (away or lamp.instead)):
                    continue
                asked = self.asked(whom, lamp.owner_id, now)
                if asked in {None, lamp.addressee_id}:
                    continue
                if not away and any(
                    act.subject == subject
                    and act.at > lamp.asked_at
                    and (act.who == lamp.addressee_id or act.lamp == (rule_id, lamp.step))
                    for act in known
                ):
                    lamp.instead = False
                    continue
                lamp.addressee_id, lamp.asked_at, changed = asked, now, True
                lamp.instead = self._stands_in(whom, lamp.owner_id, now)
            if changed:
                self._rearm(subject, self.rules[rule_id], now)

    def _is_there(self, user_id: int, now: int) -> bool:
        return self.people[user_id].is_active and self._standing_in(user_id, now) == user_id

    def _stands_in(self, whom: str, owner_id: int | None, now: int) -> bool:
        """Whether somebody else would be asked if nobody were on leave."""
        away, self.away = self.away, []
        nobody_away = self.asked(whom, owner_id, now)
        self.away = away
        return nobody_away != self.asked(whom, owner_id, now)

    def decide(self, subject: Subject, rule_id: int, now: int, why: str, *, from_step: int = 0) -> None:
        """A manager's decision puts out the lamps of a deal's rule from this step on."""
        for lamp in list(self.burning.get((subject, rule_id), ())):
            if lamp.step >= from_step:
                self.put_out(lamp, now, why)

    # Who is asked

    def asked(self, whom: str, owner_id: int | None, now: int) -> int | None:
        if whom in {"manager", "joint"}:
            return self._manager_for(owner_id, now)
        if whom.startswith("user:"):
            wanted = next((each for each in self.people.values() if each.login == whom[5:]), None)
        elif whom.startswith("role:"):
            having = [p for _, p in sorted(self.people.items()) if p.is_active and p.role == whom[5:]]
            team = self.people[owner_id].team if owner_id is not None else None
            same = [person for person in having if owner_id is not None and person.team == team]
            wanted = next(iter(same or having), None)
        else:
            wanted = self.people.get(owner_id) if owner_id is not None else None
        if wanted is None:
            return self._manager_for(None, now)
        if wanted.is_active and not self._may_work(wanted, owner_id):
            return self._manager_for(owner_id, now)
        standing_in = self._standing_in(wanted.id, now) if wanted.is_active else None
        return standing_in if standing_in is not None else self._manager_for(wanted.id, now)

    def _may_work(self, person: ReferencePerson, owner_id: int | None) -> bool:
        if person.id == owner_id or person.role == "admin":
            return True
        if person.role != "manager":
            return False
        if owner_id is None:
            return True
        team = self.people[owner_id].team
        return person.team == team or (team is not None and self.manager_of_team.get(team) == person.id)

    def _standing_in(self, user_id: int, now: int) -> int | None:
        asked = {user_id}
        while (
            leave := next((a for a in self.away if a.user_id == user_id and a.since <= now < a.until), None)
        ) is not None:
            deputy = leave.deputy_id
            if deputy is None or deputy in asked or not self.people[deputy].is_active:
                return None
            asked.add(deputy)
            user_id = deputy
        return user_id

    def _manager_for(self, user_id: int | None, now: int) -> int | None:
        """The manager of the team, then others who see what is theirs, then administrators: the first who is there or has a deputy who
        sees it, too.
        """
        person = self.people.get(user_id) if user_id is not None else None
        own = self.manager_of_team.get(person.team) if person is not None and person.team is not None else None
        ranked = [
            p.id
            for role in ("manager", "admin")
            for _, p in sorted(self.people.items())
            if p.role == role and p.is_active and p.id != user_id and self._may_work(p, user_id)
        ]
        ranked.sort(key=lambda each: each != own)
        for manager in ranked:
            acting = self._standing_in(manager, now)
            if acting is None or acting == user_id:
                continue
            deputy = self.people[acting]
            if acting == manager or (deputy.role != "seller" and self._may_work(deputy, user_id)):
                return acting
        return ranked[0] if ranked else None

    # Clocks

    def _owner(self, subject: Subject) -> int | None:
        return self.deals[subject[1]].owner_id if subject[0] == "deal" else self.callbacks[subject[1]].owner_id

    def _hours_of(self, subject: Subject) -> Hours:
        """Norms of deals run by the calendar of the owner's team, those of callbacks by the owner's own."""
        owner_id = self._owner(subject)
        person = self.people.get(owner_id) if owner_id is not None else None
        calendar = self.calendar_of_team.get(person.team) if person is not None and person.team is not None else None
        if subject[0] == "callback" and person is not None and person.calendar is not None:
            calendar = person.calendar
        return self.hours[calendar if calendar is not None else self.default_calendar]

    def norm_of(self, rule: ReferenceRule) -> int | None:
        """The working minutes of its first step."""
        return self._needed(rule, 0)

    def _needed(self, rule: ReferenceRule, step: int) -> int | None:
        minutes = rule.steps[step][0]
        if step == 0 and minutes is None:
            minutes = self.norms.get(rule.stage_id) if rule.stage_id is not None else None
            if minutes is None and rule.trigger == "date":
                minutes = 0
        return minutes

    def _clock(self, subject: Subject, rule: ReferenceRule) -> tuple[tuple[object, ...], int] | None:
        """The entry and the start of the clock; None: it does not run."""
        if (subject[0] == "callback") != (rule.trigger == "callback"):
            return None
        if subject[0] == "callback":
            callback = self.callbacks[subject[1]]
            if not callback.is_open or callback.clock_from is None:
                return None
            return ("missed", callback.clock_from), callback.clock_from
        deal = self.deals[subject[1]]
        if (
            deal.is_closed
            or not rule.is_active
            or rule.stage_id not in {None, deal.stage_id}
            or rule.pipeline_id not in {None, deal.pipeline_id}
        ):
            return None
        if self._needed(rule, 0) is None:
            return None
        if rule.trigger == "date":
            dates = [task.due for task in deal.tasks.values() if task.done_at is None]
            if not dates:
                return None
            entry: tuple[object, ...] = ("date", min(dates))
            since = self._hours_of(subject).add(min(dates), rule.offset)
            accepted = deal.accepted.get(rule.id)
            if accepted is not None and accepted[0] > since:
                entry, since = (*entry, "accepted", accepted[0]), accepted[1]
            if any(
                at > (accepted[0] if "accepted" in entry and accepted else since)
                for at, _, _, _ in self._works(deal, rule)
            ):
                return None
        elif rule.trigger == "silence":
            entry, since = self._last(deal, rule, deal.made_at, silence=True)
            since = self._accepted_until(deal, rule, entry, since)
        else:
            entry, since = self._last(deal, rule, deal.entered_at, silence=False)
            since = self._accepted_until(deal, rule, entry, since)
            entry = (deal.move, *entry)
        return entry, since if rule.begins_at is None else max(since, rule.begins_at)

    def _accepted_until(self, deal: ReferenceDeal, rule: ReferenceRule, entry: tuple[object, ...], since: int) -> int:
        return deal.accepted[rule.id][1] if entry[0] == "accepted" else since

    def _works(
        self, deal: ReferenceDeal, rule: ReferenceRule, *, silence: bool = False
    ) -> list[tuple[int, int, str, tuple[object, ...]]]:
        """(when, since when the clock runs, kind, which) of all that counts as work."""
        found: list[tuple[int, int, str, tuple[object, ...]]] = []
        if silence or "talked" in rule.works:
            found += [(at, at, "talked", ("talk", at)) for at, seconds in deal.talks if seconds >= rule.talked_seconds]
        if "next_task" in rule.works:
            for number, task in deal.tasks.items():
                if task.plans and (until := self._planned_until(deal, rule, task)) is not None:
                    found.append((task.made_at, until, "planned", ("task", number)))
        if "field_filled" in rule.works:
            found += [(at, at, "filled", ("filled", at)) for at, key in deal.filled if key == rule.field]
        if rule.trigger != "date":
            found += [(at, at, "given", ("given", at)) for at in deal.given.get(rule.id, ())]
            if rule.id in deal.accepted:
                at, _, _ = deal.accepted[rule.id]  # work after it counts, though the manager named a later time
                found.append((at, at, "accepted", ("accepted", at)))
        return found

    def _planned_until(self, deal: ReferenceDeal, rule: ReferenceRule, task: Planned) -> int | None:
        """Since when the clock runs again after a next task; None: it was closed before its time, and nobody talked to the client."""
        if not task.is_closed_early:
            return task.first_due
        assert task.done_at is not None
        if not task.cancelled:
            for over_at, seconds in deal.talks:
                is_long = seconds >= rule.talked_seconds
                if is_long and over_at >= task.made_at and over_at * 60 - seconds <= task.done_at * 60:
                    return task.done_at
        return None

    def _rests(self, subject: Subject, rule: ReferenceRule) -> list[list[int]]:
        """When the clock stands still."""
        if subject[0] != "deal":
            return []
        deal = self.deals[subject[1]]
        if "next_task" not in rule.works:
            return deal.rests
        early = [task for task in deal.tasks.values() if task.plans and task.is_closed_early]
        vain = [task for task in early if self._planned_until(deal, rule, task) is None]
        return [*deal.rests, *([task.made_at, task.done_at or 0] for task in vain)]

    def _last(
        self, deal: ReferenceDeal, rule: ReferenceRule, entered: int, *, silence: bool
    ) -> tuple[tuple[object, ...], int]:
        since = entered
        which: tuple[object, ...] = ("entered", entered)
        for at, runs_from, _, named in self._works(deal, rule, silence=silence):
            if at >= entered and runs_from > since:
                since, which = runs_from, named
        return which, since

    def _why(self, subject: Subject, rule: ReferenceRule) -> str:
        if subject[0] == "callback":
            return ""
        deal = self.deals[subject[1]]
        if deal.is_closed:
            return "closed"
        if rule.stage_id is None:
            return ""
        if not rule.is_active and rule.stage_id == deal.stage_id:
            return "off"
        works = [work for work in self._works(deal, rule) if work[0] >= deal.entered_at and work[2] != "accepted"]
        if rule.stage_id != deal.stage_id or not works:
            return "moved"
        return max(works, key=lambda work: work[0])[2]

    def _arm(self, subject: Subject, rule: ReferenceRule, entry: tuple[object, ...], now: int) -> None:
        """Begin to count for the next lamp of this entry, unless it has lit before."""
        self.running.pop((subject, rule.id), None)
        last = max(self.burning.get((subject, rule.id), ()), key=lambda lamp: lamp.step, default=None)
        step = last.step + 1 if last is not None else 0
        if step >= len(rule.steps):
            return
        clock = self._clock(subject, rule)
        assert clock is not None
        since = max(last.asked_at, rule.begins_at or last.asked_at) if last is not None else clock[1]
        needed = self._needed(rule, step)
        if step == 0 and "accepted" in entry and self.deals[subject[1]].accepted[rule.id][2]:
            needed = 0
        assert needed is not None
        rests = self._rests(subject, rule)
        running = RunningClock(subject, rule, entry, step, since, needed, self._hours_of(subject), rests)
        if since < now:
            running.passed = (
                running.hours.between(since, now)
                if not rests
                else sum(running.counts(minute) for minute in range(since, now))
            )
        if (rule.id, subject, entry, step, since if step else 0) in self.fired and not self._again(running, now):
            return
        self.running[subject, rule.id] = running

    def _again(self, running: RunningClock, now: int) -> bool:
        """The clock runs again although it has lit: what ended that was taken back. What burned last burns again if the first step is
        late now. True: it is counted for the first step again.
        """
        subject, rule, entry = running.subject, running.rule, running.entry
        gone = [
            lamp
            for lamp in self.lamps
            if (lamp.subject, lamp.rule_id, lamp.entry) == (subject, rule.id, entry)
            and lamp.out_at is not None
            and lamp.why not in {"accepted", "given"}
        ]
        if subject[0] != "deal" or running.step or not any(lamp.step == 0 for lamp in gone):
            return False
        if not self._is_ripe(running, now):
            for lamp in gone:
                lamp.entry = ("history", *lamp.entry)
            self.fired = {key for key in self.fired if key[:3] != (rule.id, subject, entry)}
            return True
        last = max(lamp.out_at or 0 for lamp in gone)
        for lamp in gone:
            if lamp.out_at != last or lamp.step >= len(rule.steps):
                continue
            lamp.out_at, lamp.why = None, ""
            self.burning.setdefault((subject, rule.id), []).append(lamp)
            who = lamp.addressee_id
            if who is None or not self.people[who].is_active or self._standing_in(who, now) != who:
                instead = self.asked(rule.steps[lamp.step][1], lamp.owner_id, now)
                if instead != who:
                    lamp.addressee_id, lamp.asked_at = instead, now
                    lamp.instead = self._stands_in(rule.steps[lamp.step][1], lamp.owner_id, now)
        self._hand_over(subject, rule, entry, now)
        self._arm(subject, rule, entry, now)
        return False

    def _rearm(self, subject: Subject, rule: ReferenceRule, now: int) -> None:
        clock = self._clock(subject, rule)
        if clock is not None:
            self._arm(subject, rule, clock[0], now)

    def _hand_over(self, subject: Subject, rule: ReferenceRule, entry: tuple[object, ...], now: int) -> None:
        """A deal has another owner: they have the lamp and a pause of their own, and what a manager was asked is answered."""
        owner_id = self._owner(subject)
        burning = [lamp for lamp in self.burning.get((subject, rule.id), ()) if lamp.entry == entry]
        if subject[0] != "deal" or all(lamp.owner_id == owner_id for lamp in burning):
            return
        first = min(lamp.step for lamp in burning)
        for lamp in burning:
            whom = rule.steps[lamp.step][1]
            if lamp.step > first and whom != "responsible":
                self.put_out(lamp, now, "given")
            else:
                lamp.owner_id, lamp.addressee_id, lamp.asked_at = owner_id, self.asked(whom, owner_id, now), now
                lamp.instead = self._stands_in(whom, owner_id, now)

    def _rules_with(self, subject: Subject) -> Iterable[ReferenceRule]:
        """Rules that may have something running or burning for the subject."""
        return (
            rule
            for rule in self.rules.values()
            if self.burning.get((subject, rule.id)) or (subject, rule.id) in self.running
        )
