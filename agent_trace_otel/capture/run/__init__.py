"""``agent-trace run -- COMMAND``: a Python program traced without a change to it.

`command` starts the program with the variables of `plan`; `site/sitecustomize.py` is imported by each Python process of
it, which then watches for libraries (`inside`) and tells the command what became of that (`reports`). `stand_in` takes
the spans that libraries make by themselves. `session` is the run's session, `problems` what could not be done, kept for
doctor.
"""
