"""Jobs that do to their process what jobs should not, among others that do not."""

from __future__ import annotations

from benchmarks.drills.trial import Trial

#: By kind: whether the job fails, or is done all the same. Those that end their process
#: are failed at the third time.
KINDS = {
    "segv": True,
    "abort": True,
    "kill": True,
    "exit-0": True,
    "exit-3": True,
    "memory": True,
    "sys.exit": True,
    "c-loop": True,
    "swallow": True,
    "fork": False,
    "output": False,
    "process": False,
}
_MEMORY = ("--memory-limit", "400")


def poison(trial: Trial) -> None:
    """Send one or two of them; the rest must not suffer."""
    trial.use_queues(2)
    trial.crew(options=_MEMORY)
    trial.warm_up()
    for kind in trial.dice.sample(list(KINDS), trial.dice.choice((1, 2))):
        trial.load.send("poison", kind, fails=KINDS[kind])
        trial.work(trial.dice.uniform(0.2, 1.0))
