"""What tools, programs and their sub-commands do, as data: one word for each.

Comes in: nothing. Goes out: tables of names, of coding agents' own tools and of what they run in a shell. Read by
`tool_calls` and `shell_commands`; a tool that no table names is "other", whatever its name may suggest.

Tool names stand here in lower case without "_" and "-": ``read_file``, ``ReadFile`` and ``read-file`` are one tool.
"""

from __future__ import annotations

EXPLORING, EDITING, TESTING, CHECKING = "exploring", "editing", "testing", "checking"
COMMITTING, DELEGATING, PLANNING, ASKING = "committing", "delegating", "planning", "asking"
RUNNING, OTHER = "running", "other"

# of several commands on one line, the first of these says what the line does
STRONGEST = (TESTING, COMMITTING, EDITING, CHECKING, EXPLORING, RUNNING)

# they neither change nor prove anything: a few of them between two edits belong to the editing
PASSING = frozenset({EXPLORING, PLANNING, ASKING, RUNNING, OTHER})


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _named(activity: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), activity)


TOOLS = {
    **_named(
        EXPLORING,
        "read readfile readmanyfiles readtextfile readmultiplefiles view viewimage viewfile notebookread openfile cat "
        "ls listdir listdirectory listfiles directorytree glob globfilesearch filesearch findfiles findbyname grep "
        "ripgrep grepsearch searchfilecontent searchfiles search codebasesearch semanticsearch lsp webfetch fetch "
        "websearch googlewebsearch toolsearch getfilecontents searchcode bashoutput taskoutput readlints",
    ),
    **_named(
        EDITING,
        "edit editfile multiedit write writefile writetofile notebookedit applypatch applydiff replace replaceinfile "
        "searchreplace strreplace insert create createfile delete deletefile movefile renamefile patch filechange",
    ),
    **_named(TESTING, "runtests runtest test"),
    **_named(CHECKING, "getdiagnostics diagnostics geterrors"),
    **_named(DELEGATING, "agent task spawnagent invokeagent delegate runsubagent newtask"),
    **_named(
        PLANNING,
        "todowrite todoread taskcreate taskupdate tasklist taskget updateplan writetodos enterplanmode exitplanmode "
        "sequentialthinking reportintent",
    ),
    **_named(ASKING, "askuserquestion askuser requestuserinput askfollowupquestion"),
}

SHELLS = _names(
    "bash shell powershell pwsh runshellcommand runterminalcmd runinterminal runcommand executecommand localshell "
    "execcommand terminal containerexec exec"
)
# the keys that hold a shell's command line
COMMAND_KEYS = ("command", "cmd", "script", "code")
# tools that a word among their arguments turns into another: Anthropic's text editor, and those made after it
EDITORS = _names("strreplaceeditor strreplacebasededittool texteditor")

PROGRAMS = {
    **_named(
        EXPLORING,
        "ls cat head tail less more bat nl wc file stat tree find fd rg grep egrep fgrep ag ack zgrep sed awk cut sort "
        "uniq jq yq diff cmp comm strings hexdump xxd od pwd which type whereis du df env printenv uname "
        "whoami ps top curl wget readlink realpath basename dirname column tac",
    ),
    **_named(EDITING, "apply_patch patch tee mv cp rm mkdir rmdir touch ln chmod chown truncate install dd rsync"),
    **_named(
        TESTING,
        "pytest py.test tox nox unittest nose2 trial behave robot jest vitest mocha ava jasmine karma cypress rspec "
        "minitest phpunit pest ctest gotestsum bats busted playwright",
    ),
    **_named(
        CHECKING,
        "ruff mypy pyright basedpyright flake8 pylint black isort bandit tsc eslint biome prettier stylelint "
        "shellcheck hadolint golangci-lint staticcheck gofmt rustfmt rubocop clang-tidy clang-format checkstyle "
        "pre-commit ty make cmake ninja meson gcc g++ clang clang++ cc rustc javac py_compile compileall",
    ),
}

# program and its first word that is no option
SUBCOMMANDS = {
    **_named(
        TESTING,
        "npm:test npm:t pnpm:test yarn:test bun:test deno:test go:test cargo:test cargo:nextest make:test make:check "
        "just:test task:test mvn:test mvn:verify gradle:test gradlew:test mvnw:test dotnet:test mix:test swift:test "
        "rake:test rake:spec rails:test bazel:test sbt:test lein:test stack:test cabal:test zig:test ninja:test "
        "composer:test hatch:test manage.py:test flutter:test dart:test django-admin:test",
    ),
    **_named(
        CHECKING,
        "npm:lint npm:build npm:typecheck pnpm:lint pnpm:build pnpm:typecheck yarn:lint yarn:build yarn:typecheck "
        "go:build go:vet cargo:build cargo:check cargo:clippy cargo:fmt mvn:compile mvn:package gradle:build "
        "gradlew:build dotnet:build mix:compile swift:build just:lint bun:build",
    ),
    **_named(
        EXPLORING,
        "git:status git:log git:diff git:show git:blame git:grep git:branch git:ls-files git:rev-parse git:remote "
        "git:describe git:shortlog npm:ls npm:view pip:show pip:list pip:freeze go:list go:doc",
    ),
    **_named(EDITING, "git:apply git:restore git:checkout git:mv git:rm git:stash git:reset git:revert git:clean"),
    **_named(COMMITTING, "git:add git:commit git:push git:merge git:rebase git:tag git:cherry-pick"),
}

# programs that run the one named after them, with the number of their own words before it
WRAPPERS = {
    **dict.fromkeys(_names("sudo env time nice nohup xargs command exec npx bunx pnpx uvx stdbuf then do"), 0),
    "timeout": 1,
}
WRAPPERS_OF_TWO = _names(
    "uv:run poetry:run pipenv:run hatch:run pdm:run rye:run bundle:exec npm:run npm:exec pnpm:run pnpm:exec yarn:run "
    "bun:run deno:task coverage:run python:-m python3:-m"
)
# wrappers whose next word is a sub-command of theirs: `npm run test` is `npm test`
KEEP_THEIR_NAME = _names("npm:run pnpm:run yarn:run bun:run deno:task")
# options that turn a reader into an editor
EDITING_OPTIONS = {
    "sed": ("-i", "--in-place"),
    "perl": ("-i", "-pi"),
    "find": ("-delete",),
    "sort": ("-o", "--output"),
}
# what they print goes where a redirection sends it
PRINTERS = _names("echo printf")
