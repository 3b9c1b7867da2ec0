package blocks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/heapsync/heapsync/blocks/media"
)

// Media looks at local files and makes pictures of them, as *media.Engines does. It is
// safe for concurrent use, but for one file at a time. Report may take a while, as it takes
// to look for programs.
type Media interface {
	Probe(ctx context.Context, file *os.File) (media.Facts, error)
	Thumbnails(ctx context.Context, file *os.File, o media.Options) ([]media.Thumbnail, error)
	Animation(ctx context.Context, file *os.File, edge int, from media.Position) (media.Thumbnail, error)
	Report() media.Report
}

// generation counts changes of what this package makes of files. A new one has files
// looked at again that failed.
const generation = 1

const (
	// maxTries is how often work on a file is begun: one that ends the process, or the
	// power, must not do so for ever.
	maxTries = 3
	// maxWaiters is how many requests of one user wait for pictures, and maxAsked how many
	// files are queued because a user asked.
	maxWaiters = 64
	maxAsked   = 256
	// maxFollowed is how many files are queued because documents changed.
	maxFollowed = 10_000
)

// deriver looks at files and makes pictures, a bounded number at a time. What is to be done
// of itself stands in the ledger; what somebody waits for comes from memory. Users take
// turns in both, and the ledger has a turn after those who wait.
type deriver struct {
	in     *Instance
	media  Media
	ready  chan struct{} // closed when report, engine and webp are known
	report media.Report
	engine string // says what made something
	webp   bool   // pictures can be written as WebP
	slots  chan struct{}
	checks chan struct{} // of those who check clients' pictures
	wake   chan struct{} // has room for one
	ledger UserID        // whose turn was last; the loop's own

	// mu guards all below.
	mu      sync.Mutex
	stopped bool
	queued  map[Hash]*work
	running map[Hash]bool
	ring    []UserID // who has works in lists; the first is next
	lists   map[UserID][]*work
	turns   int // since the ledger's
	waiters map[UserID]int
}

// work is one file to look at, and the pictures that were asked for.
type work struct {
	hash  Hash
	user  UserID // in whose list it is; "" is the server
	wants []PictureRequest
	tell  bool          // blocks that have it do not know yet what was found out
	done  chan struct{} // closed when it has ended, however
}

func newDeriver(in *Instance, cfg LogConfig) *deriver {
	workers := max(1, cfg.MediaWorkers)
	return &deriver{
		in: in, media: cfg.Media, ready: make(chan struct{}),
		slots: make(chan struct{}, workers), checks: make(chan struct{}, workers), wake: make(chan struct{}, 1),
		queued: map[Hash]*work{}, running: map[Hash]bool{}, lists: map[UserID][]*work{}, waiters: map[UserID]int{},
	}
}

// isReady says whether it is known what pictures can be made.
func (d *deriver) isReady() bool {
	select {
	case <-d.ready:
		return true
	default:
		return false
	}
}

// nudge has the deriver look for work.
func (d *deriver) nudge() {
	if d == nil {
		return
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// run works until ctx ends.
func (d *deriver) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer func() {
		wg.Wait()
		d.stop()
	}()
	d.report = d.media.Report()
	if ctx.Err() != nil {
		return
	}
	d.webp = d.report.Vips != "" || d.report.FFmpeg != ""
	d.engine = fmt.Sprintf("%d vips %s ffmpeg %s", generation, d.report.Vips, d.report.FFmpeg)
	close(d.ready)
	for err := d.recover(ctx); err != nil; err = d.recover(ctx) {
		if !d.rest(ctx, err) {
			return
		}
	}
	for {
		select {
		case d.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		w := d.next(ctx)
		if w == nil {
			<-d.slots
			select {
			case <-d.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		wg.Go(func() {
			err := d.do(ctx, w)
			d.end(w)
			if err != nil && d.rest(ctx, fmt.Errorf("file %s: %w", w.hash, err)) && w.tell {
				d.follow(w.hash)
			}
			<-d.slots
			d.nudge()
		})
	}
}

// rest waits after a failure that is not a file's, unless ctx ends.
func (d *deriver) rest(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	d.in.logger.Warn("files cannot be looked at", "err", err)
	timer := time.NewTimer(d.in.limits.MediaPause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// recover finds what the last run left.
func (d *deriver) recover(ctx context.Context) error {
	lost := Failure{CodeLost, fmt.Sprintf("the server ended %d times while it worked on it", maxTries)}
	if err := d.in.store.RecoverSources(ctx, d.engine, maxTries, lost); err != nil {
		return err
	}
	list, err := d.in.store.Undescribed(ctx, nil, maxFollowed)
	for _, u := range list {
		d.follow(u.Hash)
	}
	return err
}

// stop has those who wait go.
func (d *deriver) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped = true
	for _, w := range d.queued {
		close(w.done)
	}
	d.queued = nil
}

// next takes a work whose turn it is; nil if there is none.
func (d *deriver) next(ctx context.Context) *work {
	d.mu.Lock()
	var w *work
	if d.turns < len(d.ring) {
		w = d.take()
	}
	d.mu.Unlock()
	if w == nil {
		w = d.nextOfLedger(ctx)
	}
	if w != nil {
		return w
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.take()
}

// take takes a work out of a list, of the first user who has one that can be done now.
func (d *deriver) take() *work {
	for range len(d.ring) {
		user := d.ring[0]
		d.ring = append(d.ring[1:], user)
		for _, w := range d.lists[user] {
			if !d.running[w.hash] {
				d.turns++
				d.begin(w)
				return w
			}
		}
	}
	return nil
}

// begin takes a work out of its list.
func (d *deriver) begin(w *work) {
	d.running[w.hash] = true
	if d.queued[w.hash] != w {
		return
	}
	delete(d.queued, w.hash)
	list := d.lists[w.user]
	for i := range list {
		if list[i] == w {
			list = append(list[:i:i], list[i+1:]...)
			break
		}
	}
	if d.lists[w.user] = list; len(list) > 0 {
		return
	}
	delete(d.lists, w.user)
	for i, user := range d.ring {
		if user == w.user {
			d.ring = append(d.ring[:i:i], d.ring[i+1:]...)
			return
		}
	}
}

// end lets those go who waited for a work.
func (d *deriver) end(w *work) {
	d.mu.Lock()
	delete(d.running, w.hash)
	d.mu.Unlock()
	close(w.done)
}

func (d *deriver) nextOfLedger(ctx context.Context) *work {
	src, err := d.in.store.NextSource(ctx, d.ledger)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.turns = 0
	if err != nil {
		if !errors.Is(err, ErrNotFound) && ctx.Err() == nil {
			d.in.logger.Warn("next file not found", "err", err)
		}
		return nil
	}
	d.ledger = src.User
	if d.running[src.Hash] { // who ends that looks again
		return nil
	}
	w := d.queued[src.Hash]
	if w == nil {
		w = &work{hash: src.Hash, done: make(chan struct{})}
	}
	d.begin(w)
	return w
}

// enqueue adds a file to a user's list, or wants to its work that waits already. It
// returns nil if the list is full.
func (d *deriver) enqueue(user UserID, hash Hash, most int, wants ...PictureRequest) *work {
	w := d.queued[hash]
	if w == nil {
		list := d.lists[user]
		if len(list) >= most {
			return nil
		}
		w = &work{hash: hash, user: user, done: make(chan struct{})}
		d.queued[hash] = w
		if len(list) == 0 {
			d.ring = append(d.ring, user)
		}
		d.lists[user] = append(list, w)
	}
	for _, want := range wants {
		if !slices.Contains(w.wants, want) {
			w.wants = append(w.wants, want)
		}
	}
	return w
}

// attached hears that a block has a file now. If it has to be looked at, the ledger says
// so; if it was, as the file of another block, the block is to be described.
func (d *deriver) attached(ctx context.Context, hash Hash) {
	if d == nil {
		return
	}
	if src, err := d.in.store.Source(ctx, hash); err == nil && (src.Status == DerivedReady || src.Status == DerivedFailed) {
		d.follow(hash)
	}
	d.nudge()
}

// follow has the blocks described that have a file.
func (d *deriver) follow(hash Hash) {
	d.mu.Lock()
	if !d.stopped {
		if w := d.enqueue("", hash, maxFollowed); w != nil {
			w.tell = true
		}
	}
	d.mu.Unlock()
	d.nudge()
}

// ErrNotMade: the picture will be made; who asks again later gets it.
var ErrNotMade = errors.New("the picture is not made yet")

// wait has a picture made and waits for that, at most until the time that Limits gives.
func (d *deriver) wait(ctx context.Context, user UserID, hash Hash, want PictureRequest, patience <-chan time.Time) error {
	d.mu.Lock()
	if d.stopped {
		d.mu.Unlock()
		return ErrUnavailable
	}
	if d.waiters[user] >= maxWaiters {
		d.mu.Unlock()
		return ErrNotMade
	}
	w := d.enqueue(user, hash, maxAsked, want)
	if w == nil {
		d.mu.Unlock()
		return ErrNotMade
	}
	d.waiters[user]++
	d.mu.Unlock()
	d.nudge()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.waiters[user]--; d.waiters[user] == 0 {
			delete(d.waiters, user)
		}
	}()
	select {
	case <-w.done:
		return nil
	case <-patience:
		return ErrNotMade
	case <-ctx.Done():
		return ctx.Err()
	}
}
