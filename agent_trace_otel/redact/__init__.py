"""Redaction: values in, the same values without their secrets out.

Called by the processor, the hooks' slow path and the CLI. Pure and standard library only; it imports no other module of
the package, so that a hook can load it in a few milliseconds.

    redactor   Redactor: the public face; cheap checks first, then a search
    walk       one pass over a structure (dicts, lists, pairs, argument lists)
    keys       is a key secret by its words?
    text       one string: unescape, search, merge
    tokens     token shapes by their heads (the table is in `shapes`)
    pairs      key and value in any notation: JSON, repr, .env, YAML, headers, query strings
    forms      what has a form of its own: URLs, private keys, Bearer and Basic, command lines
    patterns   regular expressions, compiled when first used
    quoting    where a string or a bracket ends, at any level of quoting
    spans      places in a text
    opaque     does a value look like a secret, or like a word, a path, an expression?
"""

from __future__ import annotations

from agent_trace_otel.redact.redactor import DEFAULT, Finding, Redactor

__all__ = ["DEFAULT", "Finding", "Redactor"]
