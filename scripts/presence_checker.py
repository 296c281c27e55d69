# SPDX-License-Identifier: Apache-2.0
"""Compares what a backend was told of who comes and goes with what the clients did.

A client's streams are put together to sessions: between two of them it had none for a while. If that was surely less than the
grace, it was no change; if it was longer than anybody may take to tell, then its end and the next one's beginning were changes;
in between either will do. Each client's changes have to be such that a row of visits fits its sessions."""
import collections
import math

GRACE, DEADLINE = 5, 20  # as the protocol promises them
PRESENT_SECONDS = 5  # asked of the first stream's event while Redis is well
NEAR = 1  # about the grace either will do: a node that has just started tells a little later
CLOCK = 0.05  # what two readings of one clock may be apart
# After a failover each node has time to say that it lives, and nobody is told to have gone before all have told who is there.
RETURN, HOLD = 5, 5
RETOLD = 20  # until a node that lives has told again what Redis lost
# The last is what the protocol says may be lost: Redis forgets it, and the node that knew it is dead.
KINDS = ("missed", "invented", "too early", "too late", "not by turns", "forgotten")


class Session:
    def __init__(self, sent, opened, ended, is_optional):
        self.sent, self.opened, self.ended, self.is_optional = sent, opened, ended, is_optional
        self.bound = None  # to the session before: "same", "other", or None for either


class Checker:
    def __init__(self, rows, changes, kills, troubles, stream):
        self.troubles, self.killed = sorted(troubles), collections.defaultdict(list)
        for node, at in kills:
            self.killed[node].append(at)
        self.streams, self.changes = collections.defaultdict(list), collections.defaultdict(list)
        for name, node, sent, opened, ended in rows:
            killed = min((at for at in self.killed.get(node, []) if at > sent), default=math.inf)
            if any(start - 1 < sent < end and killed < end + HOLD for start, end in self.troubles):
                opened = None  # the node may have died before it could tell
            # The client may have seen its end later.
            self.streams[name].append((sent, opened, min(ended, killed)))
        for client, is_present, node, at, event in changes:
            self.changes[client].append((is_present, at, event, node))
        # Told, but on a server that went back to what its replica had.
        self.lost = {event for *_, event in changes if event not in stream}
        self.faults, self.counts = collections.defaultdict(list), collections.Counter()
        self.waits = {name: [] for name in ("present", "absent", "absent in trouble")}

    def trouble(self, since, until):
        """When Redis is well again, of what went on in that time."""
        return max((end for start, end in self.troubles if start < until and end > since), default=None)

    def deadline(self, ended):
        """Until when it has to be told that somebody has gone."""
        well = self.trouble(ended, ended + DEADLINE)
        return ended + DEADLINE if well is None else max(ended + DEADLINE, well + RETURN + HOLD + 3)

    def present_deadline(self, opened):
        well = self.trouble(opened, opened + PRESENT_SECONDS)
        return opened + PRESENT_SECONDS if well is None else well + PRESENT_SECONDS + HOLD

    def sessions(self, streams):
        """In the order of time, with what is known of the time between."""
        sessions = []
        for sent, opened, ended in sorted(streams):
            last = sessions[-1] if sessions else None
            if last and opened is not None and not last.is_optional and sent <= last.ended:
                last.ended = max(last.ended, ended)
                continue
            # Without Redis nothing is told, and what is over when it is back was no change.
            is_optional = opened is None or any(start - 1 < sent and ended < end for start, end in self.troubles)
            sessions.append(Session(sent, ended if opened is None else opened, ended, is_optional))
        for index, one in enumerate(sessions[1:], 1):
            sure = [other for other in sessions[:index] if not other.is_optional]
            last = max((other.ended for other in sure), default=-math.inf)
            if not one.is_optional and one.opened - last < GRACE - NEAR:
                one.bound = "same"
            elif one.sent > self.deadline(max(other.ended for other in sessions[:index])) + NEAR:
                one.bound = "other"
        return sessions

    def fits(self, sessions, visits, is_strict=True):
        """Whether the visits cover the sessions, each of them a row of them."""
        known = {}

        def match(i, k):
            if (i, k) not in known:
                known[i, k] = find(i, k)
            return known[i, k]

        def find(i, k):
            if i == len(sessions):
                return k == len(visits)
            first = sessions[i]
            if first.is_optional and match(i + 1, k):
                return True
            if k == len(visits):
                return False
            came, went = visits[k]
            if is_strict and not first.sent - CLOCK <= came <= self.present_deadline(first.opened):
                return False
            ended = 0
            for j in range(i, len(sessions)):
                one = sessions[j]
                # It belongs to what is before it, or does not.
                if one.bound == "same" and all(other.is_optional for other in sessions[i:j]) or one.bound == "other" and j > i:
                    return False
                ended = max(ended, one.ended)
                ends = {ended} | {max((one.ended for one in sessions[i:j + 1] if not one.is_optional), default=ended)}
                in_time = not is_strict or any(end + GRACE - CLOCK <= went <= self.deadline(end) for end in ends)
                if in_time and match(j + 1, k + 1):
                    return True
            return False
        return match(0, 0)

    def check(self):
        for client in sorted(self.streams.keys() | self.changes.keys()):
            self.check_client(client, self.sessions(self.streams.get(client, [])), self.changes.get(client, []))

    def check_client(self, client, sessions, changes):
        self.counts["clients"] += 1
        self.counts["told"] += len(changes)
        # Nobody is left who could tell it again: the protocol says so.
        if any(event in self.lost and self.dies_soon(node, at) for _, at, event, node in changes):
            return self.fault("forgotten", client, sessions, changes)
        changes = self.without_again(changes)
        if any(is_present == (index % 2 == 1) for index, (is_present, *_) in enumerate(changes)):
            return self.fault("not by turns", client, sessions, changes)
        times = [at for _, at, *_ in changes] + ([math.inf] if len(changes) % 2 else [])
        visits = list(zip(times[::2], times[1::2]))
        if self.fits(sessions, visits):
            return self.measure(client, sessions, visits)
        kind = "missed" if len(changes) % 2 else None
        if not kind and self.fits(sessions, visits, is_strict=False):
            ends = [max((one.ended for one in sessions if one.sent <= went), default=0) for _, went in visits]
            is_early = any(went < end + GRACE - CLOCK for end, (_, went) in zip(ends, visits))
            kind = "too early" if is_early else "too late"
        sure = sum(one.bound == "other" or i == 0 for i, one in enumerate(sessions) if not one.is_optional)
        self.fault(kind or ("missed" if len(visits) < sure else "invented"), client, sessions, changes)

    def dies_soon(self, node, at):
        return any(at - 1 < killed < at + RETOLD for killed in self.killed.get(node, []))

    def without_again(self, changes):
        """Without those that another node has told anew, because Redis had lost that somebody is there."""
        kept = []
        for change in changes:
            if kept and kept[-1][0] and change[0] and kept[-1][2] in self.lost:
                self.counts["again"] += 1
            else:
                kept.append(change)
        return kept

    def measure(self, client, sessions, visits):
        """How long it took until it was told."""
        for came, went in visits:
            sent = max((one.sent for one in sessions if one.sent <= came + CLOCK), default=came)
            ended = max((one.ended for one in sessions if one.sent < went - GRACE), default=went)
            if self.trouble(sent, came) is None:
                self.waits["present"].append((max(0, came - sent), client))
            name = "absent" if self.trouble(ended, ended + DEADLINE) is None else "absent in trouble"
            self.waits[name].append((went - ended, client))

    def fault(self, kind, client, sessions, changes):
        def clock(at):
            return f"{at % 10000:.3f}"
        streams = " ".join(f"{clock(one.sent)}..{clock(one.ended)}{'?' if one.is_optional else ''}" for one in sessions)
        told = " ".join(f"{'+' if is_present else '-'}{clock(at)} {event} at {node}" for is_present, at, event, node in changes)
        self.faults[kind].append(f"{client}: streams {streams or 'none'}; told {told or 'nothing'}")
