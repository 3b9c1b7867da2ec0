-- +goose Up

-- An upload that ends may have left its blob, if it was about to be a file. What nothing
-- refers to then is swept like any other blob; one that never came to be is none to sweep.
-- +goose StatementBegin
CREATE TRIGGER uploads_ended AFTER DELETE ON uploads BEGIN
	INSERT INTO blobs (hash, size, at) VALUES (old.hash, old.size, old.last_at) ON CONFLICT DO NOTHING;
END;
-- +goose StatementEnd
