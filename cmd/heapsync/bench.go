package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func benchCommand() *cobra.Command {
	var b benchRun
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Fill a server of its own with a large heap and measure it",
		Long: `Start a server on a new data folder, fill one heap through the API with notes that
are edited again and again, restart the server, and measure what clients of such a
heap wait for: pages of changes, a first pull, lists, counts and search, beside the
server's memory and the time it takes to start.

Several numbers of blocks are measured one after the other, to show what grows with
the heap and what does not:

    heapsync bench --blocks 10000,100000,1000000 --updates-per-block 2`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, n := range b.sizes {
				if n < 1 {
					return fmt.Errorf("--blocks must be at least 1, not %d", n)
				}
				if err := b.run(cmd.Context(), cmd.OutOrStdout(), n); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().IntSliceVar(&b.sizes, "blocks", []int{100_000}, "blocks of the heap; several numbers: one run each")
	cmd.Flags().IntVar(&b.perBlock, "updates-per-block", 50, "updates of each block")
	cmd.Flags().IntVar(&b.repeat, "repeat", 20, "how often each request is measured")
	cmd.Flags().StringVar(&b.keep, "keep", "", "folder to keep the data in; by default it is temporary")
	return cmd
}

// benchRun is what bench was asked for.
type benchRun struct {
	sizes    []int
	perBlock int
	repeat   int
	keep     string
}

func (b *benchRun) run(ctx context.Context, w io.Writer, blocks int) (err error) {
	dir := filepath.Join(b.keep, strconv.Itoa(blocks))
	if b.keep == "" {
		if dir, err = os.MkdirTemp("", "heapsync-bench-*"); err != nil {
			return fmt.Errorf("make a data folder: %w", err)
		}
		defer os.RemoveAll(dir)
	}
	fmt.Fprintf(w, "%d blocks, %d updates\n", blocks, blocks*b.perBlock)
	server, err := startBenchServer(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { server.stop() }()
	device, err := newDemoDevice(server.url)
	if err != nil {
		return err
	}
	client := &benchClient{demoDevice: device}
	if err := client.login(ctx); err != nil {
		return err
	}
	if err := client.call(ctx, "/api/heap/add", map[string]any{"id": benchHeap, "name": "Bench"}, nil); err != nil {
		return err
	}
	start := time.Now()
	if err := client.fill(ctx, blocks, b.perBlock); err != nil {
		return err
	}
	took := time.Since(start)
	fmt.Fprintf(w, "  filled in %.0f s, %.0f updates/s through push; server's memory at most %s\n",
		took.Seconds(), float64(blocks*b.perBlock)/took.Seconds(), server.peakMemory())
	start = time.Now()
	if err := client.waitIndexed(ctx, blocks); err != nil {
		return err
	}
	fmt.Fprintf(w, "  all of it in lists and search %.1f s later\n", time.Since(start).Seconds())
	server.stop()
	if server, err = startBenchServer(ctx, dir); err != nil {
		return err
	}
	fmt.Fprintf(w, "  started again in %d ms; the database has %s\n", server.startup.Milliseconds(), folderSize(dir))
	client.url = server.url
	if err := client.login(ctx); err != nil {
		return err
	}
	for _, m := range client.measures(blocks) {
		if err := b.measure(ctx, w, m); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	fmt.Fprintf(w, "  server's memory at most %s\n", server.peakMemory())
	return nil
}

// measure prints the median and the longest of many requests.
func (b *benchRun) measure(ctx context.Context, w io.Writer, m benchMeasure) error {
	var times []time.Duration
	note := ""
	for i := range b.repeat {
		start := time.Now()
		n, err := m.run(ctx, i)
		if err != nil {
			return err
		}
		times = append(times, time.Since(start))
		note = n
	}
	slices.Sort(times)
	ms := func(d time.Duration) float64 { return d.Seconds() * 1000 }
	fmt.Fprintf(w, "  %-34s median %7.2f ms, longest %7.2f ms  %s\n", m.name, ms(times[len(times)/2]), ms(times[len(times)-1]), note)
	return nil
}

// benchServer is a server in a process of its own.
type benchProcess struct {
	cmd     *exec.Cmd
	url     string
	startup time.Duration
}

func startBenchServer(ctx context.Context, dir string) (*benchProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, "serve", "--data", dir, "--listen", "127.0.0.1:0", "--mode", "open", "--rate-limits", "off", "--log-level", "error")
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a server: %w", err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !ok {
		_ = cmd.Wait()
		return nil, errors.Join(errors.New("the server did not start"), err)
	}
	return &benchProcess{cmd, url, time.Since(start)}, nil
}

func (p *benchProcess) stop() {
	if p == nil || p.cmd.ProcessState != nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Wait() // what it has to say it has said on standard error
}

// peakMemory is the most the server ever had in memory, as Linux knows it.
func (p *benchProcess) peakMemory() string {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(status)) {
		if size, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(size), " kB"))
			if err == nil {
				return fmt.Sprintf("%d MB", kib*1024/1_000_000)
			}
		}
	}
	return "unknown"
}

func folderSize(dir string) string {
	var sum int64
	files, _ := filepath.Glob(filepath.Join(dir, "*.db*"))
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			sum += info.Size()
		}
	}
	return fmt.Sprintf("%.0f MB", float64(sum)/1e6)
}
