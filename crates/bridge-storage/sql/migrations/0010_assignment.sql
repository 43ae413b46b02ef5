-- Whom and what a response is assigned to by the configuration of the bridge that stored it.

ALTER TABLE token_usage ADD COLUMN IF NOT EXISTS developer LowCardinality(String) DEFAULT '' AFTER request_id,
    ADD COLUMN IF NOT EXISTS team LowCardinality(String) DEFAULT '' AFTER developer,
    ADD COLUMN IF NOT EXISTS labels Map(LowCardinality(String), String) DEFAULT map() AFTER team;
