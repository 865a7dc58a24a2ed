"""No text makes redaction slower than linear: twice the text takes about twice the time, whatever it is made of."""

from __future__ import annotations

import time

import pytest

from agent_trace_otel.redact import DEFAULT

# generous for a noisy machine; a quadratic search would take four times as long, a cubic one eight times
MOST = 3.2

KEY = "PRIVATE KEY-----"  # in two parts, so that no secret scanner takes it for one

PATHOLOGICAL = [
    "a", "=", " ", "\n", "-", "_", ".", "/", ":", "@", "'", '"', "\\", "[", "{", "(", "<", "|", "%", "&", "\x1b", "A",
    "0", "é", "password", "password=", "password: ", "password='", 'password="', '"password":', '"password":"',
    '"password":{', '"password":[', '"password":{"type":"string",', '"tokens":{', '"tokens":[', "token=token.",
    "token=f(", "token (", "api key: ", "<token>", "<token></", "auth: basic ", "authorization: bearer ", "cookie:",
    "cookie: a", "set-cookie:a=", "auth=('a','", "('token','", "'token', ", "--token ", "--token,", " -u a:", " -p",
    " -u", "curl -u ", "mysql -p", "mysql " + "a " * 60, "bearer ", "basic ", "basic aaaa", "://", "://a:", "://a:b@",
    "://a:b@c/", "://@", "a:b@", "?key=", "?sig=", "sig=aaaaaaaaaaaaaaaaaaaa", "login a password ", "password 'a' ",
    "identified by '", "my password is ", "name: token\n", "name: token\nvalue: ", "@tcp(", ":a@tcp(", "thin:a/",
    "-----BEGIN " + KEY, "-----END " + KEY, "-----BEGIN ", "-----", "AAAA\n", "eyJ", "-eyJ",
    "eyJaaaaaaaa.", "eyJaaaaaaaa.eyJ", "sk-", "sk-a", "sk-ant-", "-sk-", "ghp_", "_ghp_", "xoxb-", "AKIA", "AIza",
    "SG.", "SG.aaaaaaaaaaaaaaaa.", "dp.", "dp.pt.", ".aaaaaaaaaaaaaaaaa", "/0aaaaaaaaaaaaaaaa", ":AAaaaaaaaaaaaaaaa",
    "1234567890:AA", "hooks.slack.com/", "://hooks.slack.com/services/", "aaaaaaaaaaaaaaaa ", "aaaaaaaaaaaaaaaa.",
    "a" * 15 + " ", "0123456789abcdef-", "Q~aaaaaaaaaaaaaaaa", "[REDACTED", "[REDACTED]", "[REDACTED:", "base64,",
    "base64,aaaaaaaaaaaaaaaa", '\\"', '\\\\"', '{"a":"', '"token', "token'", "conn_str=", "key", "key=key=", "keykey",
    "uth", "passpass", "b-team:", "dsn=", "xn--token", "\\u0022password\\u0022:", "&quot;token&quot;:&quot;",
    "%22token%22%3A%22", "$", "${", "token=${", "token=a.b.", "pat-", "live_", "live_aaaaaaaaaaaaaaaaaaaaaa", "A3-",
    "api-", "NRAL", "MaaaaaaaaaaaaaaaaaaaaaaaaaaA.", "a" * 200 + "=",
]  # fmt: skip


# those that cost most for a character, by a run over all of them
SLOWEST = [
    "password: ", "<token>", "://a:", "://@", "-eyJ", "sk-", "Q~aaaaaaaaaaaaaaaa", "key", "token=f(", "token=${",
    '"tokens":{', '"password":{"type":"string",', "-----END " + KEY, "login a password ", "eyJaaaaaaaa.",
    "1234567890:AA", '\\"', "a",
]  # fmt: skip


@pytest.mark.parametrize("unit", PATHOLOGICAL, ids=range(len(PATHOLOGICAL)))
def test_twice_the_text_takes_about_twice_the_time(unit: str) -> None:
    _assert_linear(unit, half=40_000)


@pytest.mark.parametrize("unit", SLOWEST, ids=range(len(SLOWEST)))
def test_a_megabyte_takes_about_twice_as_long_as_half_of_it(unit: str) -> None:
    _assert_linear(unit, half=500_000)


def _assert_linear(unit: str, half: int) -> None:
    once = unit * (half // len(unit))
    # the least of several runs, more of them only if the first look bad: noise comes and goes, a quadratic search stays
    for runs in (1, 2, 4):
        one = min(_seconds(once) for _ in range(runs))
        two = min(_seconds(once + once) for _ in range(runs))
        # below some milliseconds the clock tells about the machine
        if two <= MOST * max(one, 0.01):
            return
    pytest.fail(f"{unit[:40]!r}: {one:.3f} s, twice of it {two:.3f} s")


def test_deep_nesting_is_linear_and_harmless() -> None:
    deep: object = "x"
    for _ in range(5000):
        deep = [deep]
    assert "[REDACTED:depth]" in repr(DEFAULT.value(deep))
    wide: object = {"a": "b"}
    for _ in range(90):
        wide = [wide, wide]
    assert DEFAULT.value(wide) is wide


def test_cycle_is_cut() -> None:
    cycle: list[object] = ["password=swordfish12"]
    cycle.append(cycle)
    assert DEFAULT.value(cycle) == ["password=[REDACTED]", "[REDACTED:cycle]"]


def _seconds(text: str) -> float:
    start = time.process_time()
    DEFAULT.places(text)
    return time.process_time() - start
