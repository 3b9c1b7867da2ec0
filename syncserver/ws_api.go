package syncserver

import (
	"errors"
	"net/http"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/syncserver/live"
)

// websocket upgrades to one of the two Yjs protocols. A token may come in the
// header or the query; it never gets into a log.
func (s *Server) websocket(w http.ResponseWriter, r *http.Request) error {
	token, given := bearer(r)
	if !given {
		token = r.URL.Query().Get("token")
	}
	ip := s.clientIP(r).String()
	if r.PathValue("heap") == "" {
		return upgradeProblem(s.Live.ServeMany(w, r, token, ip))
	}
	heap, err := blocks.ParseHeapID(r.PathValue("heap"))
	if err != nil {
		return err
	}
	block, err := blocks.ParseBlockID(r.PathValue("block"))
	if err != nil {
		return err
	}
	return upgradeProblem(s.Live.ServeOne(w, r, blocks.BlockKey{Heap: heap, Block: block}, token, ip))
}

// scanFeed upgrades to a socket of scan events only.
func (s *Server) scanFeed(w http.ResponseWriter, r *http.Request) error {
	token, given := bearer(r)
	if !given {
		token = r.URL.Query().Get("token")
	}
	return upgradeProblem(s.Live.ServeScans(w, r, token, s.clientIP(r).String()))
}

func upgradeProblem(err error) error {
	if err == live.ErrBusy { //nolint:errorlint // it is returned as it is
		return &Problem{Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: err.Error(), retryAfter: 5}
	}
	if refused, ok := errors.AsType[*live.UpgradeError](err); ok {
		code := "invalid"
		if refused.Status == http.StatusForbidden {
			code = "cross_origin"
		}
		return newProblem(refused.Status, code, refused.Reason)
	}
	return err
}
