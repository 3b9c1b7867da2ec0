package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// heapRoom is what a small heap may grow by from one collection to the next. Go's
// default, as much again as is in use, has a server with a few thousand sockets
// collect several times a second, and each time every socket's stack shrinks and
// has to grow again: that is what the slowest edits wait for.
const heapRoom = 16 << 20

// The percentage is Go's default at least, and no more than this, whatever that makes of
// a tiny heap.
const (
	minPercent = 100
	maxPercent = 400
)

// heapPercent is the collector's percentage that gives used bytes heapRoom.
func heapPercent(used uint64) int {
	return int(min(max(heapRoom*100/max(used, 1), minPercent), maxPercent))
}

// roomForHeap keeps the collector's percentage at heapPercent until ctx ends. GOGC, if
// it is set, stays.
func roomForHeap(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	used := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	now := minPercent
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(used)
		want := heapPercent(used[0].Value.Uint64() + used[1].Value.Uint64())
		if want > now+now/8 || want < now-now/8 { // setting it stops the world
			debug.SetGCPercent(want)
			now = want
		}
	}
}
