"""Coding agents' hooks: a tiny process for each event (`client`), one that stays (`recorder`), and their set-up.

coding agent --stdin--> client --frame over a unix socket--> recorder --> journal --> steps --> spans
                        client --spool file, redacted, when nobody answers--> recorder
"""
