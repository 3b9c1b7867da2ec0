package main

import (
	"context"
	"log/slog"
	"os"
	"runtime"

	"github.com/heapsync/heapsync/blocks/media"
)

// lateMedia makes pictures once what makes them has been found, for which the server does
// not wait. It implements [blocks.Media].
type lateMedia struct {
	temp    string        // for what lives as long as one picture takes
	found   chan struct{} // closed when engines is set, or nothing will be found any more
	engines *media.Engines
}

// find looks for what makes pictures of files, until ctx ends.
func (l *lateMedia) find(ctx context.Context, logger *slog.Logger) {
	defer close(l.found)
	engines, err := media.Find(ctx, media.Config{Temp: l.temp})
	if err != nil {
		return // the server is stopping
	}
	l.engines = engines
	report := engines.Report()
	logger.Info("pictures of files", "vips", report.Vips, "ffmpeg", report.FFmpeg, "missing", report.Missing)
}

// Report implements [blocks.Media].
func (l *lateMedia) Report() media.Report {
	<-l.found
	if l.engines == nil {
		return media.Report{}
	}
	return l.engines.Report()
}

// Probe implements [blocks.Media]. It and those below are called after Report.
func (l *lateMedia) Probe(ctx context.Context, file *os.File) (media.Facts, error) {
	return l.engines.Probe(ctx, file)
}

// Thumbnails implements [blocks.Media].
func (l *lateMedia) Thumbnails(ctx context.Context, file *os.File, o media.Options) ([]media.Thumbnail, error) {
	return l.engines.Thumbnails(ctx, file, o)
}

// Animation implements [blocks.Media].
func (l *lateMedia) Animation(ctx context.Context, file *os.File, edge int, from media.Position) (media.Thumbnail, error) {
	return l.engines.Animation(ctx, file, edge, from)
}

// mediaWorkers is how many files are looked at at once.
func (c *config) mediaWorkers() int {
	if c.MediaWorkers > 0 {
		return c.MediaWorkers
	}
	return max(1, runtime.NumCPU()/2)
}
