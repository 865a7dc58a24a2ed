"""The secrets of the redaction tests, in strings and in structures.

Every secret is built at run time from a template, so that no secret scanner trips over this repository: ``<w36>``
stands for 36 random letters and digits, ``<x>`` for hexadecimal, ``<u>`` for upper case and digits, ``<a>`` for lower
case and digits, ``<d>`` for digits, ``<l>`` for letters, ``<b>`` for base64.
"""

from __future__ import annotations

import base64
import json
import random
import re
import string

_ALPHABETS = {
    "w": string.ascii_letters + string.digits,
    "x": "0123456789abcdef",
    "u": string.ascii_uppercase + "234567",
    "a": string.ascii_lowercase + string.digits,
    "d": string.digits,
    "l": string.ascii_letters,
    "b": string.ascii_letters + string.digits + "+/",
}
_RANDOM = random.Random(20260101)


def fill(template: str) -> str:
    """Return the template with random characters in its places, of both cases and digits where they fit."""

    def draw(match: re.Match[str]) -> str:
        alphabet, count = _ALPHABETS[match.group(1)], int(match.group(2))
        drawn = _RANDOM.choices(alphabet, k=count)
        if count > 5 and match.group(1) in "wb":
            drawn[1:4] = ["q", "7", "K"]
        return "".join(drawn)

    return re.sub(r"<([wxuadlb])(\d+)>", draw, template)


PASSWORD = fill("<w4>!<w3>")
WORDS = "correct horse battery"
OPAQUE = fill("<w24>")
HEX = fill("<x32>")
BASIC = base64.b64encode(f"bob:{PASSWORD}".encode()).decode()
AWS_ID = fill("AKIA<u16>")
AWS_SECRET = fill("<b40>")
JWT = fill("eyJhbGciOiJIUzI1NiJ9.eyJzdWIi<w40>.<w43>")
GITHUB = fill("ghp_<w36>")
ANTHROPIC = fill("sk-ant-api03-<w93>AA")
OPENAI = fill("sk-proj-<w60>")
SIGNATURE = fill("<w43>")
SPLUNK = fill("<x8>-<x4>-<x4>-<x4>-<x12>")
LIVE = fill("<w32>")
KEY_BODY = "\n".join(fill("<b64>") for _ in range(6))


def pem(kind: str = "RSA ", body: str = KEY_BODY) -> str:
    """Return a private key block."""
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----"


ENCODED_PEM = base64.b64encode(pem().encode()).decode()

# fmt: off
SCHEMES = [
    "postgres", "postgresql", "postgresql+psycopg2", "mysql", "mysql+pymysql", "mariadb", "mongodb", "mongodb+srv",
    "redis", "rediss", "amqp", "amqps", "mssql+pyodbc", "oracle", "clickhouse", "snowflake", "ftp", "sftp", "ssh",
    "smtp", "ldap", "https", "http", "nats", "mqtt", "kafka", "jdbc:postgresql", "git+https", "socks5",
]

# (text, what must be gone from it)
SECRETS_IN_STRINGS: list[tuple[str, str]] = [
    # assignments
    (f"password={PASSWORD}", PASSWORD),
    (f"PASSWORD: {PASSWORD}", PASSWORD),
    (f"passwd = {PASSWORD}", PASSWORD),
    (f"pwd={PASSWORD}", PASSWORD),
    (f"passphrase: {PASSWORD}", PASSWORD),
    ("password=correcthorsebatterystaple", "correcthorsebatterystaple"),
    (f"export OPENAI_KEY={OPAQUE}", OPAQUE),
    (f"export GITHUB_TOKEN={OPAQUE}", OPAQUE),
    (f"DB_PASSWORD='{PASSWORD}'", PASSWORD),
    (f'DB_PASSWORD="{WORDS}"', WORDS),
    (f"set SECRET_KEY_BASE={HEX}", HEX),
    (f"$env:API_TOKEN = '{OPAQUE}'", OPAQUE),
    (f"client_secret={OPAQUE}", OPAQUE),
    (f"clientSecret: {OPAQUE}", OPAQUE),
    (f"CLIENT-SECRET: {OPAQUE}", OPAQUE),
    (f"access_token={OPAQUE}&token_type=bearer", OPAQUE),
    (f"refreshToken={OPAQUE}", OPAQUE),
    (f"authToken: {OPAQUE}", OPAQUE),
    (f"apikey={HEX}", HEX),
    (f"api key: {HEX}", HEX),
    (f"API-Key = {HEX}", HEX),
    (f"your API key is {HEX}", HEX),
    (f"session key: {OPAQUE}", OPAQUE),
    (f"private_key={OPAQUE}", OPAQUE),
    (f"encryption_key: {OPAQUE}", OPAQUE),
    (f"credentials={OPAQUE}", OPAQUE),
    (f"aws_secret_access_key = {AWS_SECRET}", AWS_SECRET),
    (f"AWS_SECRET_ACCESS_KEY={AWS_SECRET}", AWS_SECRET),
    (f"AWS_SESSION_TOKEN={AWS_SECRET * 4}", AWS_SECRET),
    (f"PGPASSWORD={PASSWORD} psql -h db", PASSWORD),
    (f"MYSQL_PWD={PASSWORD} mysql", PASSWORD),
    (f"password := {PASSWORD}", PASSWORD),
    (f"password => '{PASSWORD}'", PASSWORD),
    (f':password => "{PASSWORD}"', PASSWORD),
    (f"my password is {PASSWORD}, please log in", PASSWORD),
    (f"The admin token is {OPAQUE}.", OPAQUE),
    (f"| password | {PASSWORD} |", PASSWORD),
    (f"<password>{WORDS}</password>", WORDS),
    (f'<add key="Password" value="{PASSWORD}" />', PASSWORD),
    (f'<server username="bob" password="{PASSWORD}"/>', PASSWORD),
    (f"- name: DB_PASSWORD\n  value: {PASSWORD}", PASSWORD),
    (f"spring.datasource.password={PASSWORD}", PASSWORD),
    (f'config.secret_key = "{OPAQUE}"', OPAQUE),
    (f"2026-01-01 ERROR login failed (password={PASSWORD}, user=bob)", PASSWORD),
    ("User(name='bob', password='swordfish')", "swordfish"),
    (f"Config(api_key='{HEX}', retries=3)", HEX),
    (f"Row(token={OPAQUE}, n=1)", OPAQUE),
    (f"SecretStr(password='{PASSWORD}')", PASSWORD),
    (f"password=SecretStr('{PASSWORD}')", PASSWORD),
    (f"os.environ['API_TOKEN'] = '{OPAQUE}'", OPAQUE),
    (f'Traceback (most recent call last):\n  File "a.py", line 1\nValueError: bad token: {OPAQUE}', OPAQUE),
    (f"curl: (22) for https://api.example.com/?access_token={OPAQUE}", OPAQUE),
    (f"DSN_TOKEN={OPAQUE}\nNEXT=1", OPAQUE),
    (f"\x1b[32mpassword\x1b[0m={PASSWORD}", PASSWORD),
    (f"mot de passe: x; password: {PASSWORD} — fin", PASSWORD),
    # JSON, repr, at several levels
    (json.dumps({"password": WORDS, "n": 1}), WORDS),
    (json.dumps({"a": {"apiKey": "x y"}}, indent=2), "x y"),
    (json.dumps({"Authorization": f"Bearer {OPAQUE}"}), OPAQUE),
    (json.dumps({"pin_token": 482913}), "482913"),
    (json.dumps({"credentials": {"user": "bob", "word": "swordfish"}}), "swordfish"),
    (json.dumps({"secrets": ["swordfish", "marlin"]}), "marlin"),
    (json.dumps({"arguments": json.dumps({"password": WORDS})}), WORDS),
    (json.dumps({"a": json.dumps({"b": json.dumps({"db_password": WORDS})})}), WORDS),
    (json.dumps({"content": f'{{"token": "{WORDS}"'}), WORDS),
    (f"result: {json.dumps({'secret': WORDS})} done", WORDS),
    (f'{{"private_key": "{WORDS}', WORDS),
    (repr({"password": WORDS}), WORDS),
    (repr({"password": "it's " + WORDS}), WORDS),
    (repr({"headers": {"x-api-key": "swordfish"}}), "swordfish"),
    (repr([("Authorization", f"Bearer {OPAQUE}")]), OPAQUE),
    (repr([(b"authorization", f"Bearer {OPAQUE}".encode())]), OPAQUE),
    ("args: ['--token', 'swordfish', '-v']", "swordfish"),
    ('CMD ["app", "--password", "swordfish"]', "swordfish"),
    (json.dumps([{"name": "Authorization", "value": "swordfish"}]), "swordfish"),
    (f"{{password: '{PASSWORD}'}}", PASSWORD),
    (f"password: '{PASSWORD}'", PASSWORD),
    (f'  "//registry.npmjs.org/:_authToken": "{OPAQUE}"', OPAQUE),
    (f"//registry.npmjs.org/:_authToken={OPAQUE}", OPAQUE),
    (f"_auth={BASIC}", BASIC),
    (json.dumps({"auths": {"https://index.docker.io/v1/": {"auth": BASIC}}}), BASIC),
    (f"machine api.example.com login bob password {PASSWORD}", PASSWORD),
    ("machine api.example.com\n  login bob\n  password swordfish\n", "swordfish"),
    # headers
    (f"Authorization: Bearer {OPAQUE}", OPAQUE),
    (f"authorization: bearer {HEX}", HEX),
    (f"Authorization: Basic {BASIC}", BASIC),
    (f"Authorization: token {OPAQUE}", OPAQUE),
    (f"Authorization: Splunk {SPLUNK}", SPLUNK),
    (f"Authorization: Bot {OPAQUE}", OPAQUE),
    (f"Proxy-Authorization: Basic {BASIC}", BASIC),
    (f'Authorization: Digest username="bob", response="{HEX}"', HEX),
    (f"Authorization: AWS4-HMAC-SHA256 Credential={AWS_ID}/20260101/x, Signature={HEX}{HEX}", HEX),
    (f"X-Api-Key: {OPAQUE}", OPAQUE),
    (f"x-goog-api-key: {OPAQUE}", OPAQUE),
    (f"DD-API-KEY: {HEX}", HEX),
    (f"x-honeycomb-team: {OPAQUE}", OPAQUE),
    (f"PRIVATE-TOKEN: {OPAQUE}", OPAQUE),
    (f"Ocp-Apim-Subscription-Key: {HEX}", HEX),
    (f"Cookie: session={OPAQUE}; theme=dark", OPAQUE),
    (f"Set-Cookie: sid={OPAQUE}; Path=/; HttpOnly", OPAQUE),
    (f"curl -H 'Authorization: Bearer {OPAQUE}' https://example.com", OPAQUE),
    (f'curl -H "X-Api-Key: {OPAQUE}" https://example.com', OPAQUE),
    (f"> GET / HTTP/1.1\r\n> Authorization: Bearer {OPAQUE}\r\n", OPAQUE),
    (f"sent Bearer {OPAQUE} to the server", OPAQUE),
    (f"Basic {BASIC}", BASIC),
    # command lines
    (f"curl -u bob:{PASSWORD} https://example.com", PASSWORD),
    ("curl -s --user bob:swordfish https://example.com", "swordfish"),
    (f"curl --proxy-user bob:{PASSWORD} https://example.com", PASSWORD),
    (f"app --password {PASSWORD}", PASSWORD),
    (f"app --password={PASSWORD}", PASSWORD),
    (f"app --api-key {OPAQUE} run", OPAQUE),
    (f"app --auth-token '{OPAQUE}'", OPAQUE),
    (f"app -token {OPAQUE}", OPAQUE),
    (f"--token {OPAQUE}", OPAQUE),
    (f"\n--token {OPAQUE}\n", OPAQUE),
    (f"deploy \\\n\t--token {OPAQUE}", OPAQUE),
    (f"run '--token {OPAQUE}'", OPAQUE),
    (f"deploy\\n--token {OPAQUE}", OPAQUE),
    (f"deploy%20--token {OPAQUE}", OPAQUE),
    (f"app \\\n\t--password {PASSWORD}", PASSWORD),
    ("mysql -u root -pswordfish shop", "swordfish"),
    ("mysqldump -h db -uroot -pswordfish shop > x.sql", "swordfish"),
    ("sshpass -p swordfish ssh bob@host", "swordfish"),
    ("redis-cli -h db -a swordfish ping", "swordfish"),
    ("docker login -u bob -p swordfish registry.example.com", "swordfish"),
    ("openssl rsa -in k.pem -passin pass:swordfish", "swordfish"),
    ("mongosh --host db -u bob -p swordfish", "swordfish"),
    (f"wget --http-password={PASSWORD} https://example.com", PASSWORD),
    ("CREATE USER bob WITH PASSWORD 'swordfish';", "swordfish"),
    ("ALTER USER 'bob'@'%' IDENTIFIED BY 'swordfish'", "swordfish"),
    # connection strings
    *(
        (f"{scheme}://bob:{PASSWORD}@db.example.com/shop", PASSWORD)
        for scheme in SCHEMES
    ),
    ("redis://:swordfish@localhost:6379/0", "swordfish"),
    ("postgres://bob:p@ss/w0rd#1@db/shop", "w0rd"),
    ("postgres://bob:p%40ss%2Fw0rd@db/shop", "w0rd"),
    (f"mongodb://bob:{PASSWORD}@h1:27017,h2:27017/db?replicaSet=x", PASSWORD),
    ("Server=db;Database=shop;Uid=sa;Pwd=abc;", "abc"),
    ("Server=tcp:x.database.windows.net;User ID=sa;Password=ab,c!;Encrypt=yes", "ab,c!"),
    ("host=db user=bob password=marlin dbname=shop", "marlin"),
    ("redis.example.com:6380,password=marlin,ssl=True", "marlin"),
    (f"DefaultEndpointsProtocol=https;AccountName=x;AccountKey={AWS_SECRET}==;EndpointSuffix=core.net", AWS_SECRET),
    (f"Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=k;SharedAccessKey={AWS_SECRET}=", AWS_SECRET),
    (f"https://x.blob.core.windows.net/c/b?sv=2024-01-01&se=2026&sig={SIGNATURE}%3D", SIGNATURE),
    (f"https://b.s3.amazonaws.com/k?X-Amz-Credential=x&X-Amz-Signature={HEX}{HEX}", HEX),
    (f"https://maps.example.com/api?key={OPAQUE}", OPAQUE),
    (f"https://api.example.com/v1?api_key={HEX}&q=1", HEX),
    (f"redirect=https%3A%2F%2Fx%2F%3Faccess_token%3D{OPAQUE}", OPAQUE),
    (f"https://{HEX}@o123.ingest.sentry.io/45", HEX),
    (f"https://x-access-token:{GITHUB}@github.com/a/b.git", GITHUB),
    ("root:swordfish@tcp(127.0.0.1:3306)/shop", "swordfish"),
    ("jdbc:oracle:thin:scott/swordfish@//db:1521/x", "swordfish"),
    (f"jdbc:mysql://db/shop?user=bob&password={PASSWORD}", PASSWORD),
    # private keys
    (pem(), KEY_BODY[:60]),
    (pem("OPENSSH "), KEY_BODY[-60:]),
    (pem("EC "), KEY_BODY[:60]),
    (pem(""), KEY_BODY[:60]),
    (pem("ENCRYPTED "), KEY_BODY[:60]),
    (pem().replace("PRIVATE KEY", "PGP PRIVATE KEY BLOCK").replace("RSA ", ""), KEY_BODY[:60]),
    (pem()[:300], KEY_BODY[200:240]),
    ("…" + pem()[150:], KEY_BODY[200:260]),
    (json.dumps({"k": pem()}), KEY_BODY[:60]),
    (json.dumps({"k": json.dumps({"k": pem()[:250]})}), KEY_BODY[:60]),
    # cut off
    ('password="swordfish12', "swordfish12"),
    ("token = 'swordfish12\nnext line isn't quoted", "swordfish12"),
    ('["--token", "swordfish', "swordfish"),
    ("[('x-api-key', 'swordfish12", "swordfish12"),
    ('{"api_key": "swordfi', "swordfi"),
    ('{"a": {"secrets": ["swordfish", "mar', "mar"),
    ("<password>swordfish12", "swordfish12"),
    # next to something
    (f"\\n{GITHUB}\\n", GITHUB),
    (json.dumps(f"x\n{ANTHROPIC}\ty"), ANTHROPIC),
    (f"({OPENAI})", OPENAI),
    (f"key:{AWS_ID},", AWS_ID),
    (f"`{JWT}`", JWT),
    (f"https://example.com/{GITHUB}?x=1", GITHUB),
    (f"my_{GITHUB}", GITHUB),
    (f"{GITHUB}{chr(0x2028)}", GITHUB),
    (f"日本語{ANTHROPIC}日本語", ANTHROPIC),
    (f"x%20{GITHUB}", GITHUB),
    (f"cut off: {ANTHROPIC[:40]}...", ANTHROPIC[:40]),
    (f"acme_live_{LIVE}", LIVE),
    (f"{AWS_ID},{AWS_SECRET}", AWS_SECRET),
    ("requests.get(u, auth=('bob', 'swordfish'))", "swordfish"),
    (f"client.setPassword('{PASSWORD}')", PASSWORD),
    (f"define('DB_PASSWORD', '{PASSWORD}');", PASSWORD),
    (f"&quot;password&quot;: &quot;{PASSWORD}&quot;", PASSWORD),
    (f"%22password%22%3A%22{WORDS.replace(' ', '%20')}%22", "horse"),
    (f"client-key-data: {ENCODED_PEM}", ENCODED_PEM[80:160]),
    (f"- {ENCODED_PEM}", ENCODED_PEM[80:160]),
]




SECRET_KEYS = [
    "password", "Password", "PASSWORD", "passwd", "pwd", "pass", "passphrase", "user_password", "userPassword",
    "newPassword", "password2", "password_confirmation", "db-password", "DB_PASSWORD", "PGPASSWORD", "MYSQL_PWD",
    "secret", "client_secret", "clientSecret", "clientsecret", "SECRET_KEY", "SECRET_KEY_BASE", "shared-secret",
    "token", "access_token", "accessToken", "accesstoken", "refresh_token", "id_token", "GITHUB_TOKEN", "authToken",
    "x-auth-token", "csrf_token", "api_key", "apiKey", "apikey", "API-KEY", "x-api-key", "OPENAI_API_KEY",
    "DD_API_KEY", "private_key", "privateKey", "access_key", "AWS_SECRET_ACCESS_KEY", "session_key", "sessionKey",
    "account_key", "encryption_key", "credential", "credentials", "creds", "authorization", "Authorization",
    "Proxy-Authorization", "auth", "basic_auth", "bearer", "cookie", "Cookie", "set-cookie", "dsn", "SENTRY_DSN",
    "connection_string", "connectionString", "ConnectionString", "x-honeycomb-team", "gen_ai.request.api_key",
    "http.request.header.authorization",
]

# (value, what must be gone from it)
SECRETS_IN_STRUCTURES: list[tuple[object, str]] = [
    # keys in any spelling; six plain letters, so that only the key can tell
    *(
        ({key: word}, word)
        for key, word in ((key, fill("<l6>")) for key in SECRET_KEYS)
    ),
    # any type
    ({"password": 48291377}, "48291377"),
    ({"password": 4829.1377}, "4829.1377"),
    ({"token": ["marlin", "trout"]}, "trout"),
    ({"secret": {"a": {"b": "marlin"}}}, "marlin"),
    ({"secret": ("marlin",)}, "marlin"),
    ({"secret": {"marlin"}}, "marlin"),
    ({"password": b"marlin"}, "marlin"),
    ({"password": bytearray(b"marlin")}, "marlin"),
    ({b"password": b"marlin"}, "marlin"),
    ({"tokens": "marlin-trout"}, "marlin"),
    ({"tokens": ["marlin", "trout"]}, "trout"),
    # places
    ({"a": [{"b": {"c": ({"password": "marlin"},)}}]}, "marlin"),
    ([[["x", {"token": "marlin"}]]], "marlin"),
    ({"env": [f"API_TOKEN={OPAQUE}", "PATH=/bin"]}, OPAQUE),
    ({"env": {"API_TOKEN": "marlin", "PATH": "/bin"}}, "marlin"),
    ({"text": f"use {GITHUB} now"}, GITHUB),
    ({GITHUB: 1}, GITHUB),
    ({"x": f"{GITHUB}".encode()}, GITHUB),
    ({"x": {GITHUB}}, GITHUB),
    ({"json": json.dumps({"password": "marlin"})}, "marlin"),
    ({"json": json.dumps({"json": json.dumps({"password": "marlin"})}).encode()}, "marlin"),
    # pairs
    ([("Authorization", "marlin")], "marlin"),
    ([["X-Api-Key", "marlin"], ["Accept", "*/*"]], "marlin"),
    ({"headers": [["authorization", "Bearer marlin"], ["host", "x"]]}, "marlin"),
    ([(b"cookie", b"a=marlin")], "marlin"),
    (("password", "marlin"), "marlin"),
    ([{"name": "Authorization", "value": "marlin"}], "marlin"),
    ({"header": [{"key": "x-api-key", "value": "marlin"}]}, "marlin"),
    ({"env": [{"name": "DB_PASSWORD", "value": "marlin"}]}, "marlin"),
    # argument lists
    (["app", "--token", "marlin"], "marlin"),
    (["app", "--api-key", "marlin", "run"], "marlin"),
    (["app", f"--password={PASSWORD}"], PASSWORD),
    (["curl", "-u", "bob:marlin", "https://example.com"], "marlin"),
    (["curl", "--user", "bob:marlin"], "marlin"),
    (["curl", "-H", f"Authorization: Bearer {OPAQUE}"], OPAQUE),
    (["mysql", "-uroot", "-pmarlin", "shop"], "marlin"),
    (["sshpass", "-p", "marlin", "ssh", "host"], "marlin"),
    (["redis-cli", "-a", "marlin"], "marlin"),
    (("docker", "login", "-u", "bob", "-p", "marlin"), "marlin"),
    ({"command": "app", "args": ["--secret-key", "marlin"]}, "marlin"),
]
# fmt: on
