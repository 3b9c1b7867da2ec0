package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"runtime"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/blocks/media"
)

// findMedia looks for what makes pictures of files; nil if none are wanted.
func findMedia(ctx context.Context, cfg *config, logger *slog.Logger) (blocks.Media, error) {
	if cfg.MediaWorkers < 0 {
		return nil, nil
	}
	temp, err := filepath.Abs(filepath.Join(cfg.Data, tempName))
	if err != nil {
		return nil, err
	}
	engines, err := media.Find(ctx, media.Config{Temp: temp})
	if err != nil {
		return nil, err
	}
	report := engines.Report()
	logger.Info("pictures of files", "vips", report.Vips, "ffmpeg", report.FFmpeg, "missing", report.Missing)
	return engines, nil
}

// mediaWorkers is how many files are looked at at once.
func (c *config) mediaWorkers() int {
	if c.MediaWorkers > 0 {
		return c.MediaWorkers
	}
	return max(1, runtime.NumCPU()/2)
}
