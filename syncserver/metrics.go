package syncserver

import (
	"crypto/subtle"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/heapsync/heapsync/auth"
)

// metrics is what Prometheus is told: numbers, never who or which block.
type metrics struct {
	handler  http.Handler
	requests *prometheus.HistogramVec
}

func newMetrics(s *Server) *metrics {
	reg := prometheus.NewRegistry()
	m := &metrics{
		handler: promhttp.HandlerFor(reg, promhttp.HandlerOpts{}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "heapsync_http_request_seconds", Help: "How long requests took, by route and by the code of the problem, if they ended in one.",
			Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10},
		}, []string{"route", "problem"}),
	}
	gauge := func(name, help string, f func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	counter := func(name, help string, f func() int64) {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(f()) }))
	}
	gauge("heapsync_ws_connections", "Open websockets.", func() float64 { return float64(s.Live.Stats().Connections) })
	gauge("heapsync_ws_rooms", "Blocks that somebody has open.", func() float64 { return float64(s.Live.Stats().Rooms) })
	gauge("heapsync_ws_subscriptions", "Blocks that sockets have open, each counted.", func() float64 { return float64(s.Live.Stats().Subscriptions) })
	counter("heapsync_ws_messages_received_total", "Messages of websockets.", func() int64 { return s.Live.Stats().MessagesIn })
	counter("heapsync_ws_messages_sent_total", "Messages to websockets.", func() int64 { return s.Live.Stats().MessagesOut })
	counter("heapsync_ws_received_bytes_total", "Bytes of those messages.", func() int64 { return s.Live.Stats().BytesIn })
	counter("heapsync_ws_sent_bytes_total", "Bytes of those messages.", func() int64 { return s.Live.Stats().BytesOut })
	counter("heapsync_ws_slow_consumers_total", "Times that a slow reader's queue was replaced by a catch-up.", func() int64 { return s.Live.Stats().SlowConsumers })
	gauge("heapsync_commit_queue", "Updates that wait for the disk.", func() float64 { return float64(s.Blocks.Stats().Queued) })
	gauge("heapsync_commit_p99_seconds", "The slowest 1 % of the last commits took longer, from the queue to the disk.", func() float64 { return s.Blocks.Stats().CommitP99.Seconds() })
	gauge("heapsync_commit_stalled", "1 when an update has waited for the disk for over ten seconds.", func() float64 {
		if s.Blocks.Stats().Stalled {
			return 1
		}
		return 0
	})
	gauge("heapsync_last_commit_timestamp_seconds", "When the last commit was; 0: none yet.", func() float64 { return float64(s.Blocks.Stats().LastCommitAt) / 1000 })
	reg.MustRegister(m.requests, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "heapsync_info", Help: "Always 1.",
			ConstLabels: prometheus.Labels{"version": s.Version}}, func() float64 { return 1 }))
	return m
}

// observe counts a request; a websocket is none that has a length.
func (m *metrics) observe(rt route, problem string, took time.Duration) {
	if rt.access == socket {
		return
	}
	m.requests.WithLabelValues(rt.pattern, problem).Observe(took.Seconds())
}

// serveMetrics answers everybody, or who has the token if there is one.
func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) error {
	if token, _ := bearer(r); s.MetricsToken != "" && subtle.ConstantTimeCompare([]byte(token), []byte(s.MetricsToken)) != 1 {
		return auth.ErrUnauthorized
	}
	s.metrics.handler.ServeHTTP(w, r)
	return nil
}
