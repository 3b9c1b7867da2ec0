-- +goose Up

-- What an administrator should know of is found without looking at everything.
CREATE INDEX blocks_quarantined ON blocks (ref) WHERE quarantine <> '';
CREATE INDEX sources_failed ON sources (at) WHERE status = 'failed' AND code <> 'unsupported';
