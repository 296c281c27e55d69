# SPDX-License-Identifier: Apache-2.0
"""Compares what each subscriber got with what was published, and what the logs hold in the end.

What is in the logs must have been got by all, once and in order. What is not, because a data set went back, must have
been got, or be in a gap that was told in time, if a node had heard it: received it and lived on for five seconds. What
nobody had heard may be missing. A gap in which nothing is missing is one too many, but for a stream that was opened
while two servers called themselves master."""
import bisect
import collections
import math
import time

from chaos_subscribers import NO_EVENT, clock, number, shown

HEARD_SECONDS, TOLD_SECONDS = 5, 6
SLACK = 0.5  # what this process may be late itself
LIFETIME = 16  # the gateway ends streams from that age on
UNANSWERED = 5  # seconds for which an event may lie before a server that stood still, until that takes it
OWN, DYING = 8, 4  # seconds around a promotion in which its own partitions are not looked at, and in which others are
WATCHED = 10  # seconds after a promotion in which events must come


def spread(times, digits=2):
    times = sorted(times) or [0]
    return {"p50": round(times[len(times) // 2], digits), "p99": round(times[len(times) * 99 // 100], digits),
            "at most": round(times[-1], digits), "of": len(times)}


class Checker:
    def __init__(self, lab):
        self.lab, self.redis, self.ledger, self.subscribers = lab, lab.redis, lab.ledger, lab.subscribers
        self.problem, self.counts, self.slowest = lab.problem, lab.counts, 0

    def check(self):
        self.read_logs()
        for one in self.subscribers:
            self.hear(one)
        self.settle_acknowledged()
        # What each subscriber has to have.
        self.due = {topic: [event for event in events if event.is_kept or event.heard]
                    for topic, events in self.ledger.events.items()}
        for one in self.subscribers:
            self.compare(one)
            self.look_at_ends(one)

    # ---- What happened ----

    def read_logs(self):
        for topic, entries in self.lab.logs.items():
            events, last = self.ledger.events[topic], 0
            for id, data in entries:
                n, id = int(data.split(":")[1]), number(id)
                event = events[n - 1] if n <= len(events) else None
                if not event or event.is_kept or event.is_refused or id <= last:
                    self.problem("foreign", f"the log of {topic} has n {n}, id {shown(id)} after {shown(last)}")
                    continue
                event.id, event.is_kept, last = id, True, id

    def hear(self, one):
        """Ids of what is in no log, and whether a node outlived its hearing it."""
        for id, index, n, at, by in zip(one.ids, one.which, one.ns, one.times, one.by):
            if index == NO_EVENT or n > len(self.ledger.events[one.topics[index]]):
                continue
            event = self.ledger.events[one.topics[index]][n - 1]
            if event.is_kept:
                continue
            event.id = event.id or id
            node = one.connections[by].node
            if not event.heard and self.outlived(node, at):
                event.heard = f"heard by {node} at {clock(at)}, then lost by Redis"

    def outlived(self, node, at):
        end = at + HEARD_SECONDS
        return self.lab.ends.get(node, math.inf) >= end and not any(
            name == node and start < end and at < stop for name, start, stop in self.lab.pauses)

    def settle_acknowledged(self):
        for topic, groups in self.ledger.acknowledged.items():
            log = self.lab.logs[topic]
            for text, first, last in groups:
                id, events = number(text), self.ledger.events[topic][first - 1:last]
                if first == last:
                    events[0].id = events[0].id or id
                if any(event.is_kept for event in events):
                    continue
                # It may have been sent again and again before.
                at = max(events[-1].sent, int(text.partition("-")[0]) / 1000)
                group = self.redis.group(f"topic:{topic}", at)
                if log and id < number(log[0][0]) and len(log) >= 1000:  # trimmed; or a former master has answered
                    is_doubtful = any(one == group and start <= at <= end for one, start, end in self.redis.doubles)
                    for event in events:
                        event.is_kept = event.id == id and not is_doubtful
                    continue
                self.counts["lost unheard"] += not any(event.heard for event in events)
                # Of what two masters take, one keeps only its own.
                if not any(one == group and start <= at <= end for one, start, end in self.redis.losses + self.redis.doubles):
                    self.problem("not in the log", f"{topic}:{first} was acknowledged as {text} at {clock(at)}, and nothing "
                                 "befell Redis")

    # ---- What a subscriber got ----

    def around(self, one, at):
        """What a reader needs to see why: the connections of that moment, and the faults near it."""
        lines = [f"    connection {clock(each.opened)} to {clock(each.ended)}, {each.node} from {each.cursor or 'now'}"
                 for each in one.connections if each.opened < at + 6 and each.ended > at - 4]
        lines += [f"    {clock(when)} {what}" for when, what in self.lab.faults if -10 < when - at < 5]
        return "".join("\n" + line for line in lines)

    def compare(self, one):
        if one.start is None:
            return self.problem("never began", f"subscriber {one.number}: no cursor ever came"
                                + self.around(one, time.time()))
        seen, highest = self.look_at_order(one)
        for at, type, data, id in one.foreign:
            self.problem("foreign", f"subscriber {one.number}: {type} {data} id {id} at {clock(at)}")
        for index, topic in enumerate(one.topics):
            for event in self.due[topic]:
                if (index, event.n) not in seen:
                    self.look_at_missing(one, event, highest)
        for gap in one.gaps:
            self.look_at_gap(one, gap, seen)

    def look_at_order(self, one):
        """Each once, ids rising within a partition; with one partition, those of checkpoints and gaps, too."""
        name, seen, highest = f"subscriber {one.number}", {}, collections.Counter()
        partitions = [self.redis.partition(f"topic:{topic}") for topic in one.topics]
        for row, (id, index, n, at) in enumerate(zip(one.ids, one.which, one.ns, one.times)):
            if index == NO_EVENT:
                what, partition, is_event = "checkpoint or gap", 0, False
                if self.redis.PARTITIONS > 1:
                    continue
            else:
                topic, is_event = one.topics[index], True
                what, partition, first = f"{topic}:{n}", partitions[index], seen.setdefault((index, n), row)
                events = self.ledger.events[topic]
                if n > len(events) or events[n - 1].is_refused or id and events[n - 1].id != id:
                    self.problem("foreign", f"{name}: {what} id {shown(id)} at {clock(at)}")
                self.counts["late, without id"] += not id
                if first != row:
                    self.problem("duplicates", f"{name}: {what} id {shown(id)} at {clock(at)}, first at "
                                 f"{clock(one.times[first])} id {shown(one.ids[first])}" + self.around(one, at))
                    continue
            # A checkpoint may repeat the cursor.
            if id and (id < highest[partition] or is_event and id == highest[partition]):
                self.problem("out of order", f"{name}: {what} id {shown(id)} at {clock(at)}, after "
                             f"{shown(highest[partition])}" + self.around(one, at))
            highest[partition] = max(highest[partition], id)
        return seen, highest

    def look_at_missing(self, one, event, highest):
        told = next((gap for gap in one.gaps if gap.covers(event.topic, event.id)
                     or not event.id and gap.at > event.sent and f"topic:{event.topic}" in gap.names), None)
        if told:
            self.counts["lost with notice"] += 1
            return None if event.is_kept else self.look_at_time(one, event, told)
        own = one.topics.index(event.topic)
        had = [id for id, index in zip(one.ids, one.which) if id and index == own]
        place, at = bisect.bisect(had, event.id), event.sent
        near = [shown(id) for id in had[max(0, place - 2):place + 2]]
        # Beyond the last cursor nothing was claimed yet: late, but perhaps not lost.
        is_passed = event.id <= highest[self.redis.partition(f"topic:{event.topic}")] or not event.is_kept
        self.problem("lost without notice" if is_passed else "not delivered in time",
                     f"subscriber {one.number}: {event.topic}:{event.n} id {shown(event.id)} of {clock(at)}, "
                     f"{'in the log' if event.is_kept else event.heard}, had {near}"
                     + self.around(one, at))

    def look_at_time(self, one, event, gap):
        """A gap is due six seconds after the promotion, or the end of two masters, or the stream's opening."""
        group = self.redis.group(f"topic:{event.topic}", event.sent)
        changes = [at for at, who in self.redis.promotions if who == group]
        changes += [end for who, _, end in self.redis.doubles if who == group]
        # The first of them need not have lost it: the one did in whose time it was sent. And Redis may have gone away again
        # before anybody could tell.
        windows = [(start, end) for who, start, end in self.redis.losses if who == group and start <= event.sent <= end]
        behind = sorted(at for at in changes if event.sent <= at)
        change = max((at for at in behind if at <= gap.at and any(start <= at <= end for start, end in windows)),
                     default=behind[0] if behind else None)
        if change is None:
            return
        for at in behind:
            if change < at <= change + TOLD_SECONDS:
                change = at
        for each in one.connections:
            due = max(each.opened, change) + TOLD_SECONDS + SLACK
            if each.node in ("-", "balancer") or each.ended <= due and each is not gap.connection:
                continue
            is_frozen = any(start < gap.at and end > change for start, end in one.stalls) or any(
                name == each.node and start < gap.at and end > change for name, start, end in self.lab.pauses)
            if not is_frozen:
                self.slowest = max(self.slowest, gap.at - due + TOLD_SECONDS + SLACK)
                if gap.at > due:
                    self.problem("told too late", f"subscriber {one.number}: {event.topic}:{event.n} id "
                                 f"{shown(event.id)} of {clock(event.sent)}, lost at {clock(change)}, told at "
                                 f"{clock(gap.at)}: {gap.text}" + self.around(one, gap.at))
            return

    def look_at_gap(self, one, gap, seen):
        self.counts["gaps told"] += 1
        topics = [name.removeprefix("topic:") for name in gap.names if name != "all"]
        if not set(topics) <= set(one.topics) or len({self.redis.partition(name) for name in gap.names}) != 1:
            return self.problem("foreign", f"subscriber {one.number}: gap {gap.text} at {clock(gap.at)}")
        missing = [event for topic in topics for event in self.ledger.events[topic]
                   if event.id and gap.covers(topic, event.id) and event.sent <= gap.at
                   and (one.topics.index(topic), event.n) not in seen]
        if not all(event.is_kept for event in missing):
            return
        if any(self.may_be_missing(event, gap, seen, one) for topic in topics for event in self.ledger.events[topic]):
            self.counts["gaps for what nobody got"] += 1
            return
        # What the stream lacked came on another one: the ring of another node had it still.
        own = one.connections.index(gap.connection)

        def is_elsewhere(topic, event):
            by = one.by[seen.get((one.topics.index(topic), event.n), 0)]
            return by > own and one.connections[by].node != gap.connection.node
        if any(not event.is_kept and event.id and gap.covers(topic, event.id) and is_elsewhere(topic, event)
               for topic in topics for event in self.ledger.events[topic]):
            self.counts["gaps made good elsewhere"] += 1
            return
        groups = {self.redis.group(name, gap.at) for name in gap.names}
        if any(group in groups and start - 1 <= gap.connection.opened <= end + TOLD_SECONDS
               for group, start, end in self.redis.doubles):
            self.counts["gaps of two masters"] += 1
            return
        # Who was told its place by a former master gets what the successor had given out before it as a gap.
        if missing and (gap.is_open or any(
                group in groups and start <= gap.at <= end + LIFETIME for group, start, end in self.redis.doubles)):
            self.counts["gaps for what logs have"] += 1
            return
        self.problem("unexpected gaps", f"subscriber {one.number}: {gap.text} id {gap.id} after "
                     f"{gap.before or 'nothing'} at {clock(gap.at)}, nothing is missing in it"
                     + self.around(one, gap.at))

    def may_be_missing(self, event, gap, seen, one):
        """Nobody was told its id: its publisher got no answer, because Redis went away, and who was to get it stood still, or a
        node had it from a log only, which it read for a stream that began just then and was not given what it read."""
        if event.id or event.is_kept or event.is_refused or (one.topics.index(event.topic), event.n) in seen:
            return False
        group, node = self.redis.group(f"topic:{event.topic}", event.sent), gap.connection.node
        stood = one.stalls + [(start, end) for name, start, end in self.lab.pauses if name == node]
        outages = [(start, end) for who, start, end in self.redis.losses + self.redis.doubles
                   if who == group and start <= event.sent <= end]
        began = [each.opened for other in self.subscribers if event.topic in other.topics for each in other.connections]
        return bool(outages) and (gap.low >> 20) / 1000 - UNANSWERED <= event.sent <= (gap.high >> 20) / 1000 + SLACK and (
            any(start < gap.at + SLACK and event.sent < end for start, end in stood)
            or any(start <= at <= end + SLACK for start, end in outages for at in began))

    def look_at_ends(self, one):
        """Streams end because the client left, with their node, by age, or because they took nothing."""
        for each in one.connections:
            at = each.ended
            if at == math.inf or each.node in ("-", "balancer") or each.is_left or at - each.begun > LIFETIME - SLACK:
                continue
            if self.lab.ends.get(each.node, math.inf) < at + 1 \
                    or any(name == each.node and start < at < stop + 3 for name, start, stop in self.lab.pauses) \
                    or any(start < at and each.opened < stop + 1 for start, stop in one.stalls) \
                    or any(at - 3 < when < at for when in self.lab.reloads):
                continue
            self.problem("closed by the gateway", f"subscriber {one.number}: at {clock(at)}" + self.around(one, at))

    # ---- Figures ----

    def figures(self):
        """How long after a promotion events came again: of each topic the first that was published within a second, on each
        stream that was open all the while."""
        delays = []
        for at, group in self.redis.promotions:
            due = {topic: one for topic in self.ledger.events if (one := self.first_after(topic, at, group))}
            for one in self.subscribers:
                delays += self.delays(one, at, due)
        found = {"promotions": len(self.redis.promotions), "told after at most": round(self.slowest, 1)}
        if delays:
            found["events again after"] = spread(delays)
        if self.redis.PARTITIONS > 1:
            meanwhile, quiet = self.latencies()
            found["others meanwhile"], found["and otherwise"] = spread(meanwhile, 3), spread(quiet, 3)
        return found

    def latencies(self):
        """How long events take of the partitions whose master stays, while another is replaced, and how long otherwise."""
        changes, meanwhile, quiet = sorted(self.redis.promotions), [], []
        for one in self.subscribers:
            names = [f"topic:{topic}" for topic in one.topics]
            for index, n, at, by in zip(one.which, one.ns, one.times, one.by):
                if index == NO_EVENT or n > len(self.ledger.events[one.topics[index]]):
                    continue
                event = self.ledger.events[one.topics[index]][n - 1]
                # What was read from the logs came when its stream did; and who stands still gets nothing.
                connection = one.connections[by]
                if not event.is_kept or event.sent < connection.begun + 1 or any(
                        start < at and event.sent < end for start, end in one.stalls) or any(
                        name == connection.node and start < at and event.sent < end
                        for name, start, end in self.lab.pauses):
                    continue
                near = changes[bisect.bisect(changes, (event.sent - OWN, 0)):bisect.bisect(changes, (event.sent + OWN, 0))]
                if any(group == self.redis.group(names[index], event.sent) for _, group in near):
                    continue
                is_meanwhile = any(-1 < when - event.sent < DYING for when, _ in near)
                (meanwhile if is_meanwhile else quiet).append(at - event.sent)
        return meanwhile, quiet

    def first_after(self, topic, at, group):
        """The first event that was published within a second after the promotion, and is in the log."""
        events = self.ledger.events[topic]
        place = bisect.bisect_left(events, at, key=lambda event: event.sent)
        found = next((event for event in events[place:place + 50] if event.is_kept), None)
        return found if found and found.sent <= at + 1 and self.redis.group(f"topic:{topic}", at) == group else None

    def delays(self, one, at, due):
        node = next((each.node for each in one.connections if each.opened < at and each.ended > at + WATCHED), None)
        if not node or any(start < at + WATCHED and at < end for start, end in one.stalls) or any(
                name == node and start < at + WATCHED and at < end for name, start, end in self.lab.pauses):
            return []
        waits = {(index, due[topic].n): WATCHED for index, topic in enumerate(one.topics) if topic in due}
        for row in range(bisect.bisect(one.times, at), len(one.times)):
            if one.times[row] > at + WATCHED:
                break
            if (one.which[row], one.ns[row]) in waits:
                waits[one.which[row], one.ns[row]] = one.times[row] - at
        return waits.values()
