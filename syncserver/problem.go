package syncserver

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/heapsync/heapsync/auth"
	"github.com/heapsync/heapsync/blocks"
)

// Problem is an error as a client sees it: RFC 9457 problem details with a
// stable Code to switch on. Detail is shown to the client, so it must hold
// nothing that the client did not send or may not know.
type Problem struct {
	Type   string       `json:"type"`
	Title  string       `json:"title"`
	Status int          `json:"status"`
	Detail string       `json:"detail,omitempty"`
	Code   string       `json:"code"`
	Errors []FieldError `json:"errors,omitempty"`
	// Missing is the chunks that an upload lacks: pairs of the first and the last.
	Missing [][2]int64 `json:"missing,omitempty"`

	retryAfter int // seconds; 0: say nothing
}

// FieldError is what is wrong with one field of a request.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

func newProblem(status int, code, detail string) *Problem {
	return &Problem{Status: status, Code: code, Detail: detail}
}

// badField is the problem of one wrong field.
func badField(field, message string) *Problem {
	return &Problem{Status: http.StatusBadRequest, Code: "invalid", Detail: field + ": " + message,
		Errors: []FieldError{{field, message}}}
}

// problems is the only table from an error to what a client sees. The first row
// that matches wins, so narrower errors stand above wider ones.
var problems = []struct {
	is         error
	status     int
	code       string
	retryAfter int
	// detail replaces the error's text; empty means that the text may be shown.
	detail string
}{
	{auth.ErrInvalidKey, 400, "invalid_key", 0, ""},
	{auth.ErrInvalidSignature, 401, "invalid_signature", 0, ""},
	{auth.ErrChallengeExpired, 401, "challenge_expired", 0, "the challenge is unknown, used or expired; ask for a new one with create_session"},
	{auth.ErrUnauthorized, 401, "unauthorized", 0, "a valid access token is needed: Authorization: Bearer <token>"},
	{auth.ErrApprovalRequired, 403, "approval_required", 0, "an administrator has to approve this account first"},
	{auth.ErrBlocked, 403, "forbidden", 0, "this account is blocked"},
	{auth.ErrClosed, 403, "forbidden", 0, "this server takes no new accounts"},
	{auth.ErrLastAdmin, 409, "conflict", 0, "the last administrator cannot be demoted, blocked or deleted"},
	{auth.ErrInvalid, 400, "invalid", 0, ""},
	{auth.ErrNotFound, 404, "not_found", 0, "no such thing here"},
	{blocks.ErrAmbiguous, 409, "ambiguous_block", 0, "the block id is used in several heaps; name the heap"},
	{blocks.ErrThinned, 404, "thinned", 0, "history does not hold any more what was at that moment"},
	{blocks.ErrNotFound, 404, "not_found", 0, "no such thing here"},
	{blocks.ErrNotScannable, 403, "forbidden", 0, ""},
	{blocks.ErrNotTrusted, 403, "forbidden", 0, "only an administrator who is an editor of the heap may have folders scanned"},
	{blocks.ErrForbidden, 403, "forbidden", 0, "your role in this heap is too low"},
	{blocks.ErrNotTrashed, 409, "not_trashed", 0, "the block is not in the trash"},
	{blocks.ErrLocked, http.StatusLocked, "locked", 1, ""},
	{blocks.ErrConflict, 409, "conflict", 0, ""},
	{blocks.ErrExpired, 410, "expired", 0, "the invitation has expired or was used by as many as may"},
	{blocks.ErrDeleted, 410, "deleted", 0, "the block is deleted for good"},
	{blocks.ErrQuota, 413, "quota_exceeded", 0, ""},
	{blocks.ErrHashMismatch, 422, "hash_mismatch", 0, "the bytes that arrived do not have this hash"},
	{blocks.ErrTooLarge, 413, "too_large", 0, ""},
	{blocks.ErrInvalid, 400, "invalid", 0, ""},
	{blocks.ErrQuarantined, 409, "quarantined", 0, "stored bytes of this block cannot be read; it is read-only until an administrator looks at it"},
	{blocks.ErrCorrupt, 409, "quarantined", 0, "stored bytes of this block cannot be read; an administrator has to look at it"},
	{blocks.ErrNotMade, 503, "processing", 2, "the picture is being made; ask again"},
	{blocks.ErrFull, http.StatusInsufficientStorage, "storage_full", 10, "the server's disk is full; nothing was stored"},
	{blocks.ErrFailed, 503, "unavailable", 60, "the server's disk failed; nothing was stored"},
	{blocks.ErrFileOffline, 503, "file_offline", 60, "the folder or disk that the file lies on is not there now"},
	{blocks.ErrFileChanged, 503, "file_changed", 5, "the file has changed where it lies, and is being read anew"},
	{blocks.ErrUnavailable, 503, "unavailable", 5, "the server cannot write now; nothing was stored"},
	{context.DeadlineExceeded, 503, "unavailable", 5, "the server was too slow to answer; try again"},
	{context.Canceled, 503, "unavailable", 5, "the request was cancelled"},
}

// problemOf turns any error into what a client sees. known is false for an error
// that is not in the table: a fault of ours, to be logged.
func problemOf(err error) (p Problem, known bool) {
	known = true
	var tooLarge *http.MaxBytesError
	var own *Problem
	var none *blocks.NoPictureError
	var incomplete *blocks.IncompleteError
	switch {
	case errors.As(err, &own):
		p = *own
	case errors.As(err, &none):
		p = Problem{Status: http.StatusUnprocessableEntity, Code: none.Code, Detail: "there is no picture of this file: " + none.Reason}
		if none.Code == blocks.CodeUnsupported || none.Code == blocks.CodeNoEngine {
			p.Status = http.StatusUnsupportedMediaType
		}
	case errors.As(err, &incomplete):
		p = Problem{Status: 409, Code: "incomplete", Detail: "chunks are missing", Missing: incomplete.Missing}
	case errors.As(err, &tooLarge):
		p = Problem{Status: 413, Code: "too_large", Detail: "the body may have at most " + strconv.FormatInt(tooLarge.Limit, 10) + " bytes"}
	default:
		p, known = fromTable(err)
	}
	p.Type = "about:blank"
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	return p, known
}

func fromTable(err error) (Problem, bool) {
	for _, row := range problems {
		if errors.Is(err, row.is) {
			p := Problem{Status: row.status, Code: row.code, Detail: row.detail, retryAfter: row.retryAfter}
			if p.Detail == "" {
				p.Detail = err.Error()
			}
			return p, true
		}
	}
	return Problem{Status: 500, Code: "internal", Detail: "something went wrong here; the server's log has it under this request id"}, false
}

func writeProblem(w http.ResponseWriter, p Problem) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(p.Status)
	body, err := encodeJSON(p)
	if err != nil {
		panic(err) // strings and numbers only
	}
	_, _ = w.Write(body) // the client may be gone
}
