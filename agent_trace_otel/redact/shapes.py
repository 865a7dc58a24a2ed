"""The table of token shapes; nothing comes in or goes out: `tokens` compiles it, the tests draw examples from it.

One line a rule: the kind shown in ``[REDACTED:kind]``, the literal heads that make the rule worth trying, the shape
that follows the head, and an example template for the tests (``<w36>`` stands for 36 letters and digits, ``<x>`` for
hexadecimal, ``<u>`` for upper case and digits, ``<a>`` for lower case and digits, ``<d>`` for digits, ``<l>`` for
letters; so no secret stands here).

Prefixes and lengths come from the providers' documentation and from public secret scanners. A body is accepted from
about half its documented length on, since output that an agent sees is often cut. Every repetition is bounded or over
one character class, so that no shape can backtrack over more than a few hundred characters.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Rule(NamedTuple):
    """One token shape: ``heads`` are literal, ``body`` is a regular expression over ASCII bytes."""

    kind: str
    heads: str
    body: str
    example: str


# A leading "" on a rule's heads: the head is short or common, so it counts only where no letter or digit stands before.
# fmt: off
RULES: Final[tuple[Rule, ...]] = (
    # model providers
    Rule("anthropic", "sk-ant-", r"[\w-]{12,}", "sk-ant-api03-<w93>AA"),
    Rule("openrouter", "sk-or-", r"[\w-]{16,}", "sk-or-v1-<x64>"),
    Rule("openai", "sk-proj- sk-svcacct- sk-admin- sk-None- sk-service-", r"[\w-]{16,}", "sk-proj-<w74>T3BlbkFJ<w74>"),
    Rule("langfuse", "sk-lf-", r"[\w-]{16,}", "sk-lf-<x8>-<x4>-<x4>-<x4>-<x12>"),
    Rule("openai", "sk-", r"(?=[A-Za-z]{0,40}\d)[A-Za-z0-9]{20,}|[A-Za-z0-9]{32,}|[\w-]{1,200}T3BlbkFJ[\w-]*",
         "sk-<w20>T3BlbkFJ<w20>"),
    Rule("groq", "gsk_", r"[A-Za-z0-9]{20,}", "gsk_<w52>"),
    Rule("xai", "xai-", r"[A-Za-z0-9]{24,}", "xai-<w80>"),
    Rule("perplexity", "pplx-", r"[A-Za-z0-9]{20,}", "pplx-<w48>"),
    Rule("replicate", "r8_", r"[A-Za-z0-9]{20,}", "r8_<w37>"),
    Rule("hugging-face", "hf_ api_org_", r"[A-Za-z]{30,}|(?=[A-Za-z]{0,40}\d)[A-Za-z0-9]{20,}", "hf_<l34>"),
    Rule("langsmith", "lsv2_pt_ lsv2_sk_ ls__", r"[\w-]{16,}", "lsv2_pt_<x32>_<x10>"),
    Rule("fireworks", "fw_", r"(?=[A-Za-z]{0,30}\d)[A-Za-z0-9]{20,}", "fw_<w24>"),
    Rule("cerebras", "csk-", r"[a-z0-9]{30,}", "csk-<x48>"),
    Rule("together", "tgp_v1_", r"[\w-]{20,}", "tgp_v1_<w43>"),
    Rule("nvidia", "nvapi-", r"[\w-]{30,}", "nvapi-<w64>"),
    Rule("pinecone", "pcsk_", r"\w{20,}", "pcsk_<w6>_<w63>"),
    Rule("tavily", "tvly-", r"[\w-]{16,}", "tvly-dev-<w32>"),
    Rule("firecrawl", "fc-", r"[0-9a-f]{32}", "fc-<x32>"),
    Rule("jina", "jina_", r"[\w-]{30,}", "jina_<x32><w28>"),
    Rule("e2b", "e2b_", r"[0-9a-f]{32,}", "e2b_<x40>"),
    Rule("cursor", "crsr_", r"[0-9a-f]{32,}", "crsr_<x64>"),
    Rule("elevenlabs", "sk_", r"[0-9a-f]{40,}", "sk_<x48>"),
    Rule("wandb", "wandb_v1_", r"\w{20,}", "wandb_v1_<w60>"),
    # clouds
    Rule("google", "AIza", r"[\w-]{30,}", "AIza<w35>"),
    Rule("google", "GOCSPX-", r"[\w-]{16,}", "GOCSPX-<w28>"),
    Rule("aws", "AKIA ASIA ABIA ACCA",
         r"[A-Z0-9]{16}(?![A-Za-z0-9])(?:[\s,:;\"'|]{1,4}[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=]))?",
         "AKIA<u16>"),
    Rule("aws", "IQoJb3JpZ2lu FwoGZXIvYXdz FQoGZXIvYXdz", r"[\w+/%=-]{30,}", "IQoJb3JpZ2lu<w300>"),
    Rule("aws", "ABSK bedrock-api-key-", r"[A-Za-z0-9+/]{60,}={0,2}", "bedrock-api-key-<w120>"),
    Rule("alibaba", "LTAI", r"[A-Za-z0-9]{16,26}(?![A-Za-z0-9])", "LTAI<w20>"),
    Rule("digitalocean", "dop_v1_ doo_v1_ dor_v1_", r"[0-9a-f]{16,}", "dop_v1_<x64>"),
    Rule("databricks", "dapi dose", r"[0-9a-f]{32}(?:-\d)?", "dapi<x32>"),
    Rule("cloudflare", "cfut_ cfat_ cfk_", r"[\w-]{20,}", "cfut_<w48>"),
    Rule("planetscale", "pscale_", r"(?:tkn|oauth|pw|app_secret)_[\w.-]{16,}", "pscale_tkn_<w43>"),
    Rule("supabase", "sbp_ sb_secret_", r"[\w-]{16,}", "sbp_<x40>"),
    Rule("neon", "napi_", r"[a-z0-9]{30,}", "napi_<a64>"),
    Rule("vercel", "vcp_ vci_ vca_ vcr_ vck_", r"[A-Za-z0-9]{20,}", "vcp_<w56>"),
    Rule("fly", "fo1_ fm2_ fm1r_ fm1a_", r"[\w+/-]{30,}={0,3}", "fo1_<w43>"),
    Rule("render", "rnd_", r"[A-Za-z0-9]{24,}", "rnd_<w32>"),
    Rule("heroku", "HRKU-", r"[\w-]{30,}", "HRKU-AA<w58>"),
    Rule("scalingo", "tk-us-", r"[\w-]{30,}", "tk-us-<w48>"),
    Rule("yandex", "AQVN", r"[\w-]{35,38}(?![\w-])", "AQVN<w36>"),
    # code hosts, packages, continuous integration
    Rule("github", "ghp_ gho_ ghu_ ghs_ ghr_", r"[A-Za-z0-9]{12,}", "ghp_<w36>"),
    Rule("github", "github_pat_", r"\w{16,}", "github_pat_<w22>_<w59>"),
    Rule("gitlab", "glpat- gldt- glrt- glft- glimt- glagent- gloas- glcbt- glffct- glsoat- glptt-", r"[\w.-]{14,}",
         "glpat-<w20>"),
    Rule("gitlab", "GR1348941", r"[\w-]{14,}", "GR1348941<w20>"),
    Rule("atlassian", "ATATT3 ATCTT3 ATSTT3 ATBB", r"[\w=-]{20,}", "ATATT3<w186>"),
    Rule("npm", "npm_", r"[A-Za-z0-9]{30,}", "npm_<w36>"),
    Rule("pypi", "pypi-AgE", r"[\w-]{16,}", "pypi-AgEIcHlwaS5vcmc<w120>"),
    Rule("rubygems", "rubygems_", r"[0-9a-f]{24,}", "rubygems_<x48>"),
    Rule("nuget", "oy2", r"[a-z0-9]{43}(?![A-Za-z0-9])", "oy2<a43>"),
    Rule("crates", "cio", r"[A-Za-z0-9]{32}(?![A-Za-z0-9])", "cio<w32>"),
    Rule("docker", "dckr_pat_ dckr_oat_", r"[\w-]{16,}", "dckr_pat_<w27>"),
    Rule("artifactory", "AKCp cmVmd", r"[A-Za-z0-9]{40,}", "AKCp<w69>"),
    Rule("circleci", "CCIPAT_ CCIPRJ_", r"\w{20,}", "CCIPAT_<w22>_<x40>"),
    Rule("buildkite", "bkua_", r"[0-9a-f]{30,}", "bkua_<x40>"),
    Rule("sonar", "squ_ sqp_ sqa_", r"[0-9a-f]{30,}", "squ_<x40>"),
    Rule("sourcegraph", "sgp_", r"[0-9a-f_]{30,}", "sgp_<x16>_<x40>"),
    Rule("pulumi", "pul-", r"[0-9a-f]{40}", "pul-<x40>"),
    Rule("1password", "ops_eyJ", r"[\w+/=-]{40,}", "ops_eyJ<w250>"),
    Rule("1password", "A3-", r"[A-Z0-9]{6}-[A-Z0-9-]{20,}", "A3-<u6>-<u11>-<u5>-<u5>-<u5>"),
    Rule("age", "AGE-SECRET-KEY-1", r"[A-Z0-9]{30,}", "AGE-SECRET-KEY-1<u58>"),
    Rule("tailscale", "tskey-", r"[\w-]{16,}", "tskey-auth-<w12>-<w32>"),
    # PEM in base64, as in a kubeconfig
    Rule("private-key", "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVkt LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0 "
         "LS0tLS1CRUdJTiBFQyBQUklWQVRF LS0tLS1CRUdJTiBPUEVOU1NI LS0tLS1CRUdJTiBFTkNSWVBURUQgUFJJVkFURS",
         r"[A-Za-z0-9+/=]{20,}",
         "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVkt<w400>"),
    Rule("ssh", "b3BlbnNzaC1rZXktdjEA", r"[A-Za-z0-9+/=\s\\]*", "b3BlbnNzaC1rZXktdjEA<w200>"),
    # messages, payments, observability, work tools
    Rule("slack", "xoxb- xoxp- xoxa- xoxr- xoxs- xoxo- xoxc- xoxd- xoxe- xoxe.xox xapp- xwfp-", r"[\w.%+/-]{10,}",
         "xoxb-<d12>-<d12>-<w24>"),
    Rule("stripe", "sk_live_ sk_test_ sk_prod_ rk_live_ rk_test_ rk_prod_ sk_org_", r"\w{10,}", "sk_live_<w24>"),
    Rule("webhook-signing", "whsec_", r"[\w+/=]{16,}", "whsec_<w32>"),
    Rule("twilio", "SK", r"[0-9a-f]{32}(?![A-Za-z0-9])", "SK<x32>"),
    Rule("twilio", "AC", r"[0-9a-f]{32}:[0-9a-f]{32}(?![A-Za-z0-9])", "AC<x32>:<x32>"),
    Rule("mailgun", "key- pubkey-", r"[0-9a-f]{32}(?![A-Za-z0-9])", "key-<x32>"),
    Rule("brevo", "xkeysib- xsmtpsib-", r"[\w-]{24,}", "xkeysib-<x64>-<w16>"),
    Rule("resend", "re_", r"(?=[A-Za-z_]{0,30}\d)[A-Za-z0-9]{8}_[A-Za-z0-9]{20,}", "re_<w8>_<w24>"),
    Rule("square", "sq0atp- sq0csp-", r"[\w-]{16,}", "sq0atp-<w22>"),
    Rule("square", "EAAA", r"[\w-]{60}(?![\w+/=-])", "EAAA<w60>"),
    Rule("facebook", "EAAC EAAM EAAG EAAB", r"(?=[A-Za-z]{0,60}\d)[A-Za-z0-9]{80,400}(?![A-Za-z0-9+/=])", "EAAC<w120>"),
    Rule("shopify", "shpat_ shpca_ shppa_ shpss_ shprt_ shpua_", r"[A-Za-z0-9]{16,}", "shpat_<x32>"),
    Rule("new-relic", "NRAK- NRII- NRIQ- NRRA- NRJS- NRSP- NRAL-", r"[\w-]{15,}", "NRAK-<u27>"),
    Rule("honeycomb", "hcaik_ hcalk_ hcamk_ hcaic_ hcbik_ hcblk_ hcxik_ hcxlk_ hcxmk_", r"\w{20,}", "hcaik_<a58>"),
    Rule("grafana", "glc_ glsa_", r"[\w+/-]{20,}={0,2}", "glsa_<w32>_<x8>"),
    Rule("grafana", "eyJrIjoi", r"[\w+/-]{40,}={0,2}", "eyJrIjoi<w90>"),
    Rule("sentry", "sntrys_ sntryu_ sntryi_", r"[\w+/=-]{20,}", "sntryu_<x64>"),
    Rule("posthog", "phx_ phs_", r"[A-Za-z0-9]{30,}", "phx_<w43>"),
    Rule("datadog", "ddpat_ ddapp_", r"[\w-]{20,}", "ddpat_<w40>"),
    Rule("linear", "lin_api_ lin_oauth_ lin_wh_", r"[A-Za-z0-9]{20,}", "lin_api_<w40>"),
    Rule("notion", "ntn_ secret_", r"(?=[A-Za-z]{0,40}\d)[A-Za-z0-9]{32,}", "ntn_<d11><w35>"),
    Rule("figma", "figd_ figo_ figor_ figu_ figur_", r"[\w-]{20,}", "figd_<w40>"),
    Rule("airtable", "pat", r"[A-Za-z0-9]{14}\.[0-9a-f]{32,}", "pat<w14>.<x64>"),
    Rule("hubspot", "pat-na1- pat-na2- pat-eu1- pat-ap1-", r"[0-9a-f-]{30,}", "pat-na1-<x8>-<x4>-<x4>-<x4>-<x12>"),
    Rule("postman", "PMAK-", r"[0-9a-f]{20,40}-[0-9a-f]{20,}", "PMAK-<x24>-<x34>"),
    Rule("contentful", "CFPAT-", r"[\w-]{30,}", "CFPAT-<w43>"),
    Rule("octopus", "API-", r"(?=[A-Z]{0,25}\d)[A-Z0-9]{25,32}(?![\w-])", "API-<u26>"),
    Rule("launchdarkly", "sdk-", r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
         "sdk-<x8>-<x4>-<x4>-<x4>-<x12>"),
    Rule("plaid", "access-sandbox- access-development- access-production-", r"[0-9a-f-]{30,}",
         "access-production-<x8>-<x4>-<x4>-<x4>-<x12>"),
    Rule("trello", "ATTA", r"[0-9a-f]{60,}", "ATTA<x72>"),
    Rule("prefect", "pnu_ pnb_", r"[A-Za-z0-9]{30,}", "pnu_<w36>"),
    Rule("adafruit", "aio_", r"[A-Za-z0-9]{28}(?![A-Za-z0-9])", "aio_<w28>"),
    Rule("typeform", "tfp_", r"[\w.-]{30,}", "tfp_<w59>"),
    Rule("readme", "rdme_", r"[a-z0-9]{40,}", "rdme_<a70>"),
    Rule("shippo", "shippo_live_ shippo_test_", r"[0-9a-f]{20,}", "shippo_live_<x40>"),
    Rule("duffel", "duffel_live_ duffel_test_", r"[\w=-]{20,}", "duffel_live_<w43>"),
    Rule("easypost", "EZAK EZTK", r"[A-Za-z0-9]{54}(?![A-Za-z0-9])", "EZAK<w54>"),
    Rule("flutterwave", "FLWSECK", r"(?:_TEST)?-[A-Za-z0-9]{12,}(?:-X)?", "FLWSECK_TEST-<x32>-X"),
    Rule("frame-io", "fio-u-", r"[\w=-]{30,}", "fio-u-<w64>"),
    Rule("infracost", "ico-", r"[A-Za-z0-9]{32}(?![A-Za-z0-9])", "ico-<w32>"),
    Rule("firebase", "APA91b", r"[\w-]{60,}", "APA91b<w134>"),
    # what no rule above knows: a telling word, then 20 or more letters of both cases and digits
    Rule("token", "sk_ sk- pat_ pat- apikey_ apikey- token_ token- secret_ secret- live_ live- prod_ rk_",
         r"(?:[A-Za-z0-9]{1,16}[_-]){0,3}(?=[a-z0-9]{0,40}[A-Z])(?=[A-Z0-9]{0,40}[a-z])(?=[A-Za-z]{0,40}[0-9])"
         r"[A-Za-z0-9]{20,200}",
         "acme_live_<w32>"),
    Rule("jwt", "eyJ", r"[\w-]{8,1200}\.(?:eyJ[\w-]{4,}(?:\.[\w-]*){0,3}|[\w-]{0,1200}\.[\w-]{4,}(?:\.[\w-]*){0,2})",
         "eyJhbGciOiJIUzI1NiJ9.eyJzdWIi<w24>.<w43>"),
    Rule("jwt", "ZXlKaGJHY2lPaU", r"[\w+/-]{30,}={0,2}", "ZXlKaGJHY2lPaU<w80>"),
)

# Shapes without a literal head. They are tried where a run of token characters starts.
SHAPES: Final[tuple[Rule, ...]] = (
    Rule("discord", "", r"[MNO][A-Za-z0-9_-]{22,27}\.[\w-]{6}\.[\w-]{24,40}", "M<w25>.<w6>.<w38>"),
    Rule("mailchimp", "", r"[0-9a-f]{32}-us\d{1,2}(?!\w)", "<x32>-us12"),
    Rule("mailgun", "", r"[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}(?![\w-])", "<x32>-<x8>-<x8>"),
    Rule("new-relic", "", r"[0-9a-f]{10,40}NRAL(?!\w)", "<x36>NRAL"),
    Rule("maxmind", "", r"[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk", "<w6>_<w29>_mmk"),
    Rule("azure", "", r"[A-Za-z0-9]{40,90}(?:JQQJ9|AZDO|ACOG|AZEG|AEh)[A-Za-z0-9]{4,40}(?![\w+/=-])",
         "<w52>JQQJ99<w26>"),
)

# Shapes that go on to the left of the run of token characters that gives them away: "|" in the head is where it starts.
# They start with a literal where they can, which makes them cheap to search for, and count at the start of a word only.
AROUND: Final[tuple[Rule, ...]] = (
    Rule("telegram", ":|AA", r"\d{7,12}:AA[\w-]{30,36}(?![\w-])", "<d10>:AA<w33>"),
    Rule("azure", "Q~|", r"[\w~.-]{3}\dQ~[\w~.-]{28,36}", "<w3>8Q~<w34>"),
    Rule("openshift", "sha256~|", r"sha256~[\w-]{40,}", "sha256~<w43>"),
    Rule("terraform", ".atlasv1.|", r"[A-Za-z0-9]{6,20}\.atlasv1\.[\w=-]{30,}", "<w14>.atlasv1.<w67>"),
    Rule("doppler", ".|", r"dp\.(?:pt|st|sa|ct|scim|audit)\.(?:[\w-]{1,40}\.)?[A-Za-z0-9]{30,}", "dp.pt.<w43>"),
    Rule("google", "29.|", r"ya29\.[\w.-]{20,}", "ya29.<w120>"),
    Rule("google", "Q.|Ab", r"AQ\.Ab[\w-]{20,}", "AQ.Ab8<w47>"),
    Rule("google", "1//|0", r"1//0[\w-]{30,}", "1//0<w60>"),
    Rule("cloudflare", "v1.|0-", r"v1\.0-[0-9a-f]{24}-[0-9a-f]{40,}", "v1.0-<x24>-<x146>"),
    Rule("vault", "hvs.| hvb.| hvr.|", r"hv[sbr]\.[\w-]{20,}", "hvs.<w95>"),
    Rule("vault", "s.|", r"s\.(?=[A-Za-z]{0,23}\d)(?=[a-z0-9]{0,23}[A-Z])[A-Za-z0-9]{24}(?![\w.])", "s.<w24>"),
    Rule("sendgrid", "SG.|", r"SG\.[\w-]{16,40}\.[\w-]{16,}", "SG.<w22>.<w43>"),
    Rule("dynatrace", "01.| 16.|", r"dt0[cs][01][16]\.[A-Z0-9]{12,40}\.[A-Za-z0-9]{20,}", "dt0c01.<u24>.<u64>"),
    Rule("harness", "pat.| sat.|", r"[ps]at\.[\w-]{22}\.[A-Za-z0-9]{20,40}\.[A-Za-z0-9]{16,}", "pat.<w22>.<w24>.<w20>"),
)

# URLs whose path is the secret: the head is the end of the host's name.
WEBHOOKS: Final[tuple[Rule, ...]] = (
    Rule("webhook", "hooks.slack.com/", r"(?:services|workflows|triggers)/[\w/-]{16,}",
         "https://hooks.slack.com/services/T<u10>/B<u10>/<w24>"),
    Rule("webhook", "discord.com/ discordapp.com/", r"api/(?:v\d{1,2}/)?webhooks/\d{5,30}/[\w-]{16,}",
         "https://discord.com/api/webhooks/<d18>/<w68>"),
    Rule("webhook", "hooks.zapier.com/", r"hooks/catch/\d{3,}/\w{5,}",
         "https://hooks.zapier.com/hooks/catch/<d7>/<w20>"),
    Rule("webhook", "office.com/ office365.com/", r"webhook(?:b2)?/[\w@/-]{30,}",
         "https://acme.webhook.office.com/webhookb2/<x8>-<x4>-<x4>-<x4>-<x12>/IncomingWebhook/<x32>"),
)
# fmt: on
