"""The harmless values of the redaction tests: none of them may be changed."""

from __future__ import annotations

from tests.redact.corpus import fill

# fmt: off
HARMLESS: list[object] = [
    # ids and hashes
    fill("<x40>"), fill("<x64>"), fill("<x32>"), fill("<x16>"), fill("commit <x40>\nAuthor: Bob <bob@example.com>"),
    fill("<x8>-<x4>-<x4>-<x4>-<x12>"), fill("session <x8>-<x4>-<x4>-<x4>-<x12> started"),
    fill('"integrity": "sha512-<b86>=="'), fill("sha256:<x64>"), fill("sha256-<b43>="), fill("--hash=sha256:<x64>"),
    fill("h1:<b43>="), fill('checksum = "<x64>"'), fill("data:image/png;base64,<b400>"), fill("iVBORw0KGgo<b300>"),
    fill("00-<x32>-<x16>-01"), fill("trace_id=<x32> span_id=<x16>"), fill("toolu_01<w22>"), fill("call_<w24>"),
    fill("chatcmpl-<w29>"), fill("msg_01<w22>"), fill("resp_<x48>"), fill("req_011C<w20>"), fill("run_<w24>"),
    fill("thread_<w24>"), fill("asst_<w24>"), fill("file-<w22>"), fill('ETag: W/"<x32>"'),
    fill("index <x7>..<x7> 100644"), fill("arn:aws:iam::<d12>:role/app"), "1234567890123456789012345678901234567890",
    "3.14159265358979323846", "2026-01-01T12:00:00.123456+00:00", "claude-sonnet-4-5-20250929",
    "gpt-4o-mini-2024-07-18", "models/gemini-2.5-flash-preview-05-20", "anthropic.claude-3-5-sonnet-20241022-v2:0",
    "text-embedding-3-large",
    # what looks like a prefix
    "key-highlight-background-color-2", "task-list-item-checkbox-container", "disk-usage-monitor-service-12",
    "sk-learn", "pip install sk-learn-contrib-extras-2", "sk-toggleable__label-arrow",
    "sk-estimator-doc-link-fitted-1", "risk-assessment-questionnaire-2026", "hf_transfer", "npm_config_registry",
    "npm_lifecycle_event", "ghp_", "glpat-", "AKIA", "xoxb-", "pk_of_the_table", "re_compile_pattern_cache",
    "sq_handle", "pat_matching_is_fun", "api_version_2024_01", "test_live_reload_works_in_dev_mode",
    "secret_santa_organizer", "token_bucket_rate_limiter",
    # prose
    "Bearer of news", "the bearer of this letter", "Bearer authentication is required", "Bearer token",
    "Bearer tokens", "Basic usage", "basic authentication", "Basic understanding of things", "token: 5 tokens left",
    "authorization: none required", "the password: it is required", "Password: required", "password is incorrect",
    "your password is too short", "The secret is to be patient.", "a secret garden",
    "auth: authentication failed for user bob", "Authorization: Basic auth is required", "cookie: chocolate",
    "the key: a good night's sleep", "API key: missing", "api key: invalid or expired", "Invalid API key provided",
    "credentials: include", "token expired at 12:00", "pass: 12, fail: 0", "PASS: test_login_2", "pass the salt",
    "passed: 12 failed: 0", "she is the author: Ann", "Error: token limit exceeded", "auth: oauth2", "author=bob123",
    "monkey=banana12", "keyboard: qwerty123", "authority: example.com/123", "tokenizer=cl100k_base",
    # counters and settings
    "max_tokens=4096", "max_tokens: 100000", "total_tokens: 123456", "token_count: 1000000", "input_tokens=12345678",
    "cache_read_input_tokens: 250000", "tokens: 123456", "tokens=123456", "tokens per second: 123456",
    '{"usage": {"input_tokens": 1234567, "output_tokens": 7654321, "total_tokens": 88888888}}', '{"tokens": 1234567}',
    '{"prompt_tokens_details": {"cached_tokens": 1234567}}', '{"token_type": "bearer"}',
    '{"password": null, "token": ""}', '{"next_page_token": "CAUQAA1234"}', "PRIVATE_KEY_PATH=/etc/ssl/key1.pem",
    "SSH_KEY_FILE=/home/ann/.ssh/id_ed25519", "TOKEN_URL=https://example.com/oauth2/token",
    "password_hash=pbkdf2sha256abc123", "token_id: 12345678", "secret_name: prod-db-1", "auth_type=apikey123",
    "key_id=1234567890", "password_policy: 12characters", "cookie_count=1234567", "PWD=/home/ann/project1",
    "OLDPWD=/home/bob2",
    # references and code
    "password=$DB_PASSWORD", "password=${DB_PASSWORD}", "token: ${{ secrets.GITHUB_TOKEN }}",
    "password={{ db_password }}", "api_key=<your-api-key>", "API_KEY=your_api_key_here", "password=********",
    "token=...", "password=%s", "token = os.environ['GITHUB_TOKEN']", "password = getpass.getpass()",
    "token = get_token_from_environment()", "self.token = token", "api_key: Optional[str] = None",
    "password = settings.DATABASE_PASSWORD", "connect(password=db_password, user=u)",
    "token = self.tokenizer.next_token", "secret: /run/secrets/db", "import secrets", "from token import NAME",
    "const key = Object.keys(x)", "if token.kind == 'name':", 'parser.add_argument("--token", help="the API token")',
    "git push --force-with-lease", "docker run -u 1000:1000 x", "docker run --user node:node image", "mysql -p shop",
    "ssh -p 2222 host1", "mkdir -p some/path1", 'curl -u "$USER:$PASS" x',
    '<a href="x" accesskey="n">', "cookies: RequestsCookieJar", 'password = password.encode("utf-8")',
    "auth=auth, host=h",
    'WWW-Authenticate: Bearer realm="x", error="invalid_token"', "token: '#d0d0d0'",
    "const cookies = this.#list.cookies;",
    # URLs
    "redis://localhost", "redis://localhost:6379/0", "postgres://localhost/shop", "postgres://bob@localhost/shop",
    "https://example.com:8080/a@b", "https://example.com/path?user=bob@example.com", "git@github.com:a/b.git",
    "ssh://git@github.com/a/b.git", "mailto:bob@example.com", "postgres://user:${PASSWORD}@db/x",
    "https://example.com/search?q=token&page=2", fill("https://example.com/commit/<x40>"),
    "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQswCQ\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END PUBLIC KEY-----",
    fill("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA<w43> bob@host"),
    # structures
    {"model": "gpt-4o", "max_tokens": 4096, "temperature": 0.2, "stop_token": "</s>", "eos_token": "<|end|>"},
    {"usage": {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12, "tokens": {"cached": 3, "new": 4}}},
    {"tokens": 512}, {"tokens": [1, 2, 3]}, {"password": None, "token": "", "secrets": []}, {"use_auth": True},
    {"token": "Hello", "logprob": -0.1, "bytes": [72]},
    {"gen_ai.usage.input_tokens": 12, "gen_ai.response.id": fill("chatcmpl-<w29>"), "gen_ai.token.type": "input"},
    {"session.id": fill("<x8>-<x4>-<x4>-<x4>-<x12>"), "process.pid": 42, "service.name": "app"},
    {"properties": {"password": {"type": "string", "description": "the password"}}, "required": ["password", "user"]},
    {"path": "/a/b", "author": "Ann", "keywords": ["a"], "monkey": 1, "keyboard": "us"},
    {"primary_key": "id", "key": "value"},
    {"private_key_path": "/x", "token_url": "https://x", "password_policy": "strong", "secret_name": "n"},
    {"auth_type": "none"},
    {"command": ["git", "commit", "-m", "rotate the password"], "cwd": "/home/ann", "PWD": "/home/ann/x"},
    ["ls", "-la", "/home/bob"], ["docker", "run", "-u", "1000:1000", "x"], ["mysql", "-u", "root", "-p", "shop"],
    ["password", "username"], ["token", "query"], ("a", "b"), [["a", "b"], ["c", "d"]],
    [{"name": "color", "value": "red"}], {"name": "token_count", "value": 12}, True, 12, 3.5, None, [], {}, "", b"",
    b"plain bytes", {1: 2}, {None: 1}, (1, (2, (3,))),
]
# fmt: on
