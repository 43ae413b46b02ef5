-- Who asked for an operation; empty where the embedder said nothing.

ALTER TABLE bridge_audit ADD COLUMN IF NOT EXISTS actor String DEFAULT '' AFTER operation;
