"""What a check comes to, from what came back and from side effects that were counted. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from heliograph.verify.plays import Came, Check, Kind, Outcome, Play, Post, Verdict

_EXPECTED = {
    Kind.ACCEPT: "a 2xx was expected",
    Kind.REFUSE: "401, or another 4xx, was expected",
    Kind.SURVIVE: "a 2xx or a 4xx was expected",
}


def judge(
    check: Check,
    play: Play,
    came: Sequence[Sequence[Came]],
    *,
    effects: int | None,
    within: float,
    seconds: float,
) -> Verdict:
    """The verdict on a check.

    Args:
        check: What was demanded.
        play: What was sent.
        came: What came back, for each sending of each step.
        effects: How many side effects there were from the end of the prelude on, if that is known.
        within: Seconds that an answer may take.
        seconds: How long the check took.
    """
    pairs = [
        (sending.post, back)
        for step, backs in zip(play.steps, came, strict=True)
        for sending, back in zip(step, backs, strict=True)
        if sending.judged
    ]
    if check.kind is Kind.ONCE:
        said = _of_effects(play.effects, effects)
    elif check.kind is Kind.IN_TIME:
        said = _of_time(pairs, within)
    else:
        said = _of_statuses(check.kind, pairs)
    return Verdict(check, Outcome.FAILED if said else Outcome.PASSED, said, seconds)


def takes(kind: Kind, came: Came) -> bool:
    """Whether an answer is what is demanded."""
    if came.status is None:
        return False
    accepted, refused = 200 <= came.status <= 299, 400 <= came.status <= 499
    match kind:
        case Kind.ACCEPT:
            return accepted
        case Kind.REFUSE:
            return refused
        case _:
            return accepted or refused


def _of_statuses(kind: Kind, pairs: Sequence[tuple[Post, Came]]) -> str:
    wrong = [
        (number, post, came)
        for number, (post, came) in enumerate(pairs, 1)
        if not takes(kind, came)
    ]
    if not wrong:
        return ""
    number, post, came = wrong[0]
    which = ""
    if len(pairs) > 1:
        about = f" ({post.about})" if post.about else ""
        which = f"message {number} of {len(pairs)}{about}: "
    more = f"; so did {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return f"{which}{came}{more}; {_EXPECTED[kind]}"


def _of_time(pairs: Sequence[tuple[Post, Came]], within: float) -> str:
    for _, came in pairs:
        if came.status is None:
            return f"{came}; an answer was expected within {within:g} s"
    slowest = max(came.seconds for _, came in pairs)
    if slowest <= within:
        return ""
    late = sum(came.seconds > within for _, came in pairs)
    many = f"{late} of {len(pairs)} answers were late, the last" if len(pairs) > 1 else "the answer"
    return f"{many} came after {slowest:.1f} s; {within:g} s are allowed"


def _of_effects(expected: tuple[int, int], effects: int | None) -> str:
    least, most = expected
    if effects is None:
        return "the probe answered no number"
    if least <= effects <= most:
        return ""
    wanted = str(least) if least == most else f"{least} to {most}"
    return f"the probe counted {effects} side effects; {wanted} expected"
