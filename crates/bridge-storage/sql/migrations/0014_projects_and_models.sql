-- The working tree of a response, and one name for a model whichever way its requests took.

ALTER TABLE token_usage ADD COLUMN IF NOT EXISTS worktree LowCardinality(String) DEFAULT '' AFTER inference_geo;

-- Computed when read, so that a later version can know more names: the same rules as CanonicalModel in the crate
-- bridge-core. A test compares the two. Each function has one column as its argument, because only then does the database
-- evaluate it on the dictionary of `model`, a few names, and not on each row.
ALTER TABLE token_usage ADD COLUMN IF NOT EXISTS canonical_model LowCardinality(String) ALIAS
    replaceRegexpOne(replaceRegexpOne(replaceRegexpOne(replaceRegexpOne(replaceRegexpOne(model,
        '(?is)^(?:openrouter/|bedrock/(?:converse/|invoke/)?|vertex_ai/|azure_ai/|azure/)?(?:arn:(?:[^:]*:){4}(?:foundation-model/|inference-profile/)?|(?:projects/[^/]*/locations/[^/]*/)?publishers/[^/]*/models/)?(?:(?:[a-z-]+\\.)??(?:qwen|alibaba|amazon|anthropic|cohere|deepseek|deepseek-ai|google|meta|meta-llama|minimax|mistral|mistralai|moonshot|moonshotai|openai|xai|x-ai|zai|z-ai|zhipu)[./](.+?)|((?:qwen|qwq|qvq|claude|deepseek|gemini|gemma|llama|minimax|mistral|mixtral|codestral|devstral|ministral|magistral|pixtral|kimi|gpt|chatgpt|codex|grok|glm)(?:[^a-z].*?)??|o[1-9](?:-.*?)??))(?:-(?:[0-9]{8}|[0-9]{4}-[0-9]{2}-[0-9]{2}))?(?:-v?[0-9]+:[0-9]+(?::[0-9a-z]+)?|@(?:[0-9]{8}|default|latest))?(?::(?:free|thinking|beta|nitro|floor|online|extended|exacto))?(?:\\[[0-9]+[km]\\])?$', '\\1\\2'),
        '(?s)^(claude-.+?)(?:-[0-9]{8}|-latest)?(?:-v[0-9]+)?$', '\\1'),
        '^(claude-[^.]*)\\.', '\\1-'), '^(claude-[^.]*)\\.', '\\1-'),
        '(?s)^claude-([4-9](?:-[0-9][0-9]?)?)-([a-z]+)(-.*)?$', 'claude-\\2-\\1\\3'),
    ADD COLUMN IF NOT EXISTS provider LowCardinality(String) ALIAS
    transform(replaceRegexpOne(replaceRegexpOne(replaceRegexpOne(lower(model),
        '(?s)^(?:openrouter/|bedrock/(?:converse/|invoke/)?|vertex_ai/|azure_ai/|azure/)?(?:arn:(?:[^:]*:){4}(?:foundation-model/|inference-profile/)?|(?:projects/[^/]*/locations/[^/]*/)?publishers/[^/]*/models/)?(?:(?:[a-z-]+\\.)??(qwen|alibaba|amazon|anthropic|cohere|deepseek|deepseek-ai|google|meta|meta-llama|minimax|mistral|mistralai|moonshot|moonshotai|openai|xai|x-ai|zai|z-ai|zhipu)[./])?(.)', '\\1/\\2'),
        '(?s)^[a-z-]*/(?:(qwen|qwq|qvq|claude|deepseek|gemini|gemma|llama|minimax|mistral|mixtral|codestral|devstral|ministral|magistral|pixtral|kimi|gpt|chatgpt|codex|grok|glm)(?:[^a-z].*)?|(o)[1-9](?:-.*?)??(?:-v?[0-9]+:[0-9]+(?::[0-9a-z]+)?|@(?:[0-9]{8}|default|latest))?(?::(?:free|thinking|beta|nitro|floor|online|extended|exacto))?(?:\\[[0-9]+[km]\\])?)$', '\\1\\2/'),
        '(?s)^([a-z-]+)/.*$', '\\1'),
        ['', 'qwen', 'qwq', 'qvq', 'alibaba', 'amazon', 'claude', 'anthropic', 'cohere', 'deepseek', 'deepseek-ai', 'gemini', 'gemma', 'google', 'llama', 'meta', 'meta-llama', 'minimax', 'mistral', 'mixtral', 'codestral', 'devstral', 'ministral', 'magistral', 'pixtral', 'mistralai', 'kimi', 'moonshot', 'moonshotai', 'gpt', 'chatgpt', 'codex', 'o', 'openai', 'grok', 'xai', 'x-ai', 'glm', 'zai', 'z-ai', 'zhipu'],
        ['', 'alibaba', 'alibaba', 'alibaba', 'alibaba', 'amazon', 'anthropic', 'anthropic', 'cohere', 'deepseek', 'deepseek', 'google', 'google', 'google', 'meta', 'meta', 'meta', 'minimax', 'mistral', 'mistral', 'mistral', 'mistral', 'mistral', 'mistral', 'mistral', 'mistral', 'moonshot', 'moonshot', 'moonshot', 'openai', 'openai', 'openai', 'openai', 'openai', 'xai', 'xai', 'xai', 'zhipu', 'zhipu', 'zhipu', 'zhipu'],
        'unknown'),
    ADD COLUMN IF NOT EXISTS model_route LowCardinality(String) ALIAS
    transform(replaceRegexpOne(replaceRegexpOne(lower(model),
        '(?s)^(?:(openrouter|bedrock|vertex_ai|azure_ai|azure)/.*|(arn):(?:[^:]*:){4}.*|(?:projects/[^/]*/locations/[^/]*/)?(publishers)/[^/]*/models/.*|(?:[a-z-]+\\.)??(?:qwen|alibaba|amazon|anthropic|cohere|deepseek|deepseek-ai|google|meta|meta-llama|minimax|mistral|mistralai|moonshot|moonshotai|openai|xai|x-ai|zai|z-ai|zhipu)([./]).+|.+(@)(?:[0-9]{8}|default|latest)(?::(?:free|thinking|beta|nitro|floor|online|extended|exacto))?(?:\\[[0-9]+[km]\\])?)$', '\\1\\2\\3\\4\\5 form'),
        '(?s)^(?:(?:qwen|qwq|qvq|claude|deepseek|gemini|gemma|llama|minimax|mistral|mixtral|codestral|devstral|ministral|magistral|pixtral|kimi|gpt|chatgpt|codex|grok|glm)(?:[^a-z].*)?|o[1-9](?:-.*?)??(?:-v?[0-9]+:[0-9]+(?::[0-9a-z]+)?|@(?:[0-9]{8}|default|latest))?(?::(?:free|thinking|beta|nitro|floor|online|extended|exacto))?(?:\\[[0-9]+[km]\\])?)$', 'direct form'),
        ['', 'openrouter form', 'bedrock form', 'vertex_ai form', 'azure_ai form', 'azure form', 'arn form', 'publishers form', '. form', '/ form', '@ form', 'direct form'],
        ['', 'openrouter', 'bedrock', 'vertex', 'foundry', 'foundry', 'bedrock', 'vertex', 'bedrock', 'openrouter', 'vertex', 'direct'],
        'unknown');
