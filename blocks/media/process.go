package media

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// inputFD is the file in an engine's process, and inputPath its name there: no
	// name that a user gave reaches an engine.
	inputFD   = 3
	inputPath = "/proc/self/fd/3"

	exitUnconfined = 125 // of a process that could not be confined
	maxComplaints  = 8 << 10
)

// engineEnvironment is all that engines see of ours. One thread: a worker is one
// core, and what a picture costs is the sum of its threads.
var engineEnvironment = []string{
	"PATH=/usr/bin:/bin", "HOME=/nonexistent", "LANG=C.UTF-8", "TMPDIR=/nonexistent",
	"VIPS_CONCURRENCY=1", "MALLOC_ARENA_MAX=2", "OMP_NUM_THREADS=1", "GIO_USE_VFS=local",
}

// job is one run of an engine.
type job struct {
	command []string
	input   *os.File // nil: none
	stdin   []byte
	fromFD  bool          // input is stdin as well
	folder  string        // where it may write; empty: nowhere
	trusted bool          // only loaders fit for bytes from strangers
	time    time.Duration // of the wall clock; of the processor, the next whole second
	output  int64         // bytes, of stdout and of each file
	memory  uint64
}

// run runs an engine to its end and returns what it wrote to stdout. It returns
// with all processes of the job gone. An error is ErrTooLarge, ErrDamaged,
// ErrTimeout, ErrNoEngine or that of ctx.
func (j job) run(ctx context.Context) ([]byte, error) {
	seconds := uint64(math.Ceil(j.time.Seconds()))
	limits, err := json.Marshal(confinement{
		CPU: max(1, seconds), Memory: j.memory, Address: max(2<<30, 8*j.memory), File: uint64(j.output), Open: 128, Folder: j.folder,
	})
	if err != nil {
		return nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, j.time)
	defer cancel()
	cmd := exec.CommandContext(bounded, "/proc/self/exe")
	cmd.Args = append([]string{confinedName, string(limits)}, j.command...)
	cmd.Env = engineEnvironment
	if j.trusted {
		cmd.Env = append(slices.Clip(cmd.Env), "VIPS_BLOCK_UNTRUSTED=1")
	}
	cmd.Dir = "/"
	out := &boundedBuffer{limit: j.output, full: cancel}
	complaints := &boundedBuffer{limit: maxComplaints}
	cmd.Stdout, cmd.Stderr = out, complaints
	if j.input != nil {
		cmd.ExtraFiles = []*os.File{j.input}
	}
	switch {
	case j.fromFD:
		if _, err := j.input.Seek(0, 0); err != nil {
			return nil, err
		}
		cmd.Stdin = j.input
	case j.stdin != nil:
		cmd.Stdin = bytes.NewReader(j.stdin)
	}
	// A group of its own can be killed whole. Should this process die, so does the
	// engine; that signal is bound to the thread which started it.
	cmd.SysProcAttr = engineAttributes()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // whoever is left
	}
	if err == nil && !out.overflowed {
		return out.kept.Bytes(), nil
	}
	return nil, j.fault(ctx, bounded, cmd.ProcessState, out, complaints, err)
}

// fault tells why a run failed.
func (j job) fault(ctx, bounded context.Context, state *os.ProcessState, out, complaints *boundedBuffer, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if out.overflowed {
		return fail(ErrTooLarge, "the picture would have more than %d bytes", j.output)
	}
	if errors.Is(bounded.Err(), context.DeadlineExceeded) {
		return fail(ErrTimeout, "more than %v", j.time)
	}
	if state == nil {
		return fmt.Errorf("%w: it did not start", ErrNoEngine)
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		switch status.Signal() {
		case syscall.SIGXCPU, syscall.SIGKILL: // the latter: of the hard limit, or of the kernel short of memory
			return fail(ErrTimeout, "more than %v of processor time", j.time)
		case syscall.SIGXFSZ:
			return fail(ErrTooLarge, "the picture would have more than %d bytes", j.output)
		}
		return fail(ErrDamaged, "the engine crashed on it (%s)", status.Signal())
	}
	said := complaints.kept.String()
	if state.ExitCode() == exitUnconfined && strings.HasPrefix(said, "confine:") {
		return fail(ErrNoEngine, "it cannot be confined")
	}
	for _, sign := range []string{"out of memory", "Cannot allocate memory", "annot allocate", "std::bad_alloc", "memory allocation"} {
		if strings.Contains(said, sign) {
			return fail(ErrTooLarge, "it takes more than %d MiB of memory", j.memory>>20)
		}
	}
	return fail(ErrDamaged, "%s", reason([]byte(said)))
}

// boundedBuffer keeps the first limit bytes and calls full, if there is one, when
// there are more. It is no bytes.Buffer itself: that has ways in past Write.
type boundedBuffer struct {
	kept       bytes.Buffer
	limit      int64
	full       func()
	overflowed bool
}

func (b *boundedBuffer) Write(p []byte) (int, error) {
	room := b.limit - int64(b.kept.Len())
	if int64(len(p)) > room {
		b.kept.Write(p[:room])
		if b.full != nil && !b.overflowed {
			b.overflowed = true
			b.full()
		}
		return len(p), nil
	}
	return b.kept.Write(p)
}
