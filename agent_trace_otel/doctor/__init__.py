"""`agent-trace doctor`: facts of this machine -> what is set up, what is recorded, and what is wrong.

    storage       the trace directory and its sessions
    settings      what is in force, and where each setting comes from
    hooks         settings files of coding agents that call us, and the program that they call
    recorder      the resident process of hooks
    deliveries    spans that a back end has not acknowledged
    back_end      a test span, and the answer in plain words
    libraries     what instrumentors would meet here, and what runs could not do
    report        all of them, for people and for programs

In each, functions named ``look_at_...`` ask the system and ``section_of_...`` are pure. Nothing here changes anything,
starts a recorder, or shows a key.
"""
