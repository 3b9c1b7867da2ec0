package live

import (
	"context"
	"time"
)

// Sweep does at once what is done every second, as if it were now: time cannot be
// faked around real sockets.
func (srv *Server) Sweep(now time.Time) { srv.sweep(context.Background(), now) }

// NudgeTime is a moment near now at which a sweep asks for what was not stored.
func NudgeTime() time.Time { return time.Now().Truncate(nudgeEvery) }
