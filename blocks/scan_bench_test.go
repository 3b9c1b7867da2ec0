package blocks_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks"
)

// processorTime is what this process has had of all processors, whatever else they do.
func processorTime() time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		return 0
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// BenchmarkScan scans small files, and large ones, and says how fast SHA-256 alone is in the
// same run, on one processor. HEAPSYNC_SCAN_FILES is how many small ones there are.
func BenchmarkScan(b *testing.B) {
	b.Run("small", func(b *testing.B) {
		n := 5000
		if text := os.Getenv("HEAPSYNC_SCAN_FILES"); text != "" {
			if _, err := fmt.Sscan(text, &n); err != nil {
				b.Fatal(err)
			}
		}
		for b.Loop() {
			b.StopTimer()
			w := newScanWorld(b)
			for i := range n {
				w.write(fmt.Sprintf("%d/%d.txt", i%200, i), fmt.Sprint("content ", i))
			}
			b.StartTimer()
			start, cpu := time.Now(), processorTime()
			w.wantScan(w.scan(blocks.ScanRequest{}), blocks.ScanDone, int64(n), 0, 0, 0)
			b.ReportMetric(float64(n)/time.Since(start).Seconds(), "files/s")
			b.ReportMetric(float64((processorTime()-cpu).Microseconds())/float64(n), "cpu-µs/file")
			start = time.Now()
			w.scan(blocks.ScanRequest{})
			b.ReportMetric(float64(n)/time.Since(start).Seconds(), "rescanned/s")
			var mem runtime.MemStats
			runtime.ReadMemStats(&mem)
			b.ReportMetric(float64(mem.HeapSys>>20), "heap-MB")
			b.StopTimer()
			start = time.Now()
			for i := range n {
				content, err := os.ReadFile(filepath.Join(w.media, fmt.Sprintf("%d/%d.txt", i%200, i)))
				if err != nil {
					b.Fatal(err)
				}
				sha256.Sum256(content)
			}
			b.ReportMetric(float64(time.Since(start).Microseconds())/float64(n), "µs-to-read-and-hash/file")
			w.close()
			b.StartTimer()
		}
	})
	b.Run("large", func(b *testing.B) {
		const size = 256 << 20
		content := noise(size, 1)
		var raw float64 // the best of a few
		for range 3 {
			start := time.Now()
			sha256.Sum256(content)
			raw = max(raw, size/time.Since(start).Seconds()/1e6)
		}
		for b.Loop() {
			b.StopTimer()
			w := newScanWorld(b)
			for i := range 4 {
				content[0] = byte(i)
				if err := os.WriteFile(filepath.Join(w.media, fmt.Sprint(i)), content, 0o600); err != nil {
					b.Fatal(err)
				}
			}
			b.StartTimer()
			start := time.Now()
			w.wantScan(w.scan(blocks.ScanRequest{}), blocks.ScanDone, 4, 0, 0, 0)
			rate := 4 * size / time.Since(start).Seconds() / 1e6
			b.ReportMetric(rate, "MB/s")
			b.ReportMetric(raw, "sha256-MB/s")
			b.ReportMetric(rate/raw, "of-sha256")
			b.StopTimer()
			w.close()
			if err := os.RemoveAll(w.media); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
}
