package blocks

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/heapsync/heapsync/blocks/tree"
)

// errNotWalked: a walk could not begin.
var errNotWalked = errors.New("the folder cannot be read")

// maxSettling is how many files that were just being written a scan looks at again.
const maxSettling = 10_000

// scanVisitor compares what a walk comes to with what was scanned before.
type scanVisitor struct {
	*scan
	ctx     context.Context
	root    *tree.Root
	saver   *scanSaver
	deep    bool // folders in the folder are walked too
	begun   int  // walks that came to their folder
	folders []walkedFolder
	settle  []tree.File
	strange []strangeFolder
}

// walkedFolder is a folder that the walk is in, and its block.
type walkedFolder struct {
	path  string
	block BlockID
}

// walkAll walks a folder, or those of its scopes that are there, and files that were being
// written again when they have had their time.
func (v *scanVisitor) walkAll(f ScanFolder, scopes []string) error {
	if scopes == nil {
		scopes = []string{f.Path}
	}
	for _, scope := range scopes {
		if err := v.folderAbove(f, scope); err != nil {
			return err
		}
		begun := v.begun
		err := v.root.Walk(v.ctx, scope, v)
		if err != nil && v.begun == begun && v.ctx.Err() == nil {
			if scope != f.Path {
				continue // it has gone; the one that it was in tells
			}
			return fmt.Errorf("%w: %w", errNotWalked, err)
		}
		if err != nil {
			return err
		}
	}
	return errors.Join(v.settled(), v.settleStrange())
}

// folderAbove begins with the block of the folder that a scope is in.
func (v *scanVisitor) folderAbove(f ScanFolder, scope string) error {
	v.folders = v.folders[:0]
	if scope == f.Path {
		return nil
	}
	above, err := v.in.store.ScannedAt(v.ctx, f.Heap, []string{path.Dir(scope)})
	for _, c := range above {
		v.folders = append(v.folders, walkedFolder{c.Path, c.Block})
	}
	return err
}

// settled waits for files that were being written, and takes in those that are not any more.
func (v *scanVisitor) settled() error {
	if len(v.settle) == 0 {
		return nil
	}
	wait := time.NewTimer(v.cfg.Settle)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-v.ctx.Done():
		return v.ctx.Err()
	}
	again := v.settle
	v.settle = nil
	for _, f := range again {
		st, mode, err := v.root.Lstat(f.Path)
		if err != nil || !mode.IsRegular() {
			continue // gone, and so no file to wait for
		}
		if err := v.folderAbove(ScanFolder{Heap: v.scan.scan.Folder.Heap}, f.Path); err != nil {
			return err
		}
		v.found.Add(-1)
		if err := v.Files(path.Dir(f.Path), []tree.File{{Path: f.Path, Stat: st}}); err != nil {
			return err
		}
	}
	for _, f := range v.settle { // those that are written still
		v.later(f.Path)
	}
	return nil
}

// later has a file be looked at by the next scan, which comes soon.
func (v *scanVisitor) later(name string) {
	v.waits.Add(1)
	f := v.scan.scan.Folder
	v.mu.Lock()
	defer v.mu.Unlock()
	if due := v.due[f.ID]; due != nil {
		v.dirtyLocked(due, path.Dir(name))
	}
}

// parent returns the block of the folder that a path is in.
func (v *scanVisitor) parent(name string) BlockID {
	dir := path.Dir(name)
	for len(v.folders) > 0 {
		last := v.folders[len(v.folders)-1]
		if last.path == dir {
			return last.block
		}
		v.folders = v.folders[:len(v.folders)-1]
	}
	return ""
}

// Folder implements [tree.Visitor].
func (v *scanVisitor) Folder(name string, st tree.Stat) (enter bool, err error) {
	f := v.scan.scan.Folder
	if !f.Recursive && name != f.Path {
		return false, nil
	}
	v.begun++
	parent := v.parent(name)
	list, err := v.in.store.ScannedAt(v.ctx, f.Heap, []string{name})
	if err != nil {
		return false, err
	}
	item := scanItem{now: Scanned{Heap: f.Heap, Path: name, Folder: true, Parent: parent, Stat: st, State: ScannedPresent, Seen: v.number()}}
	known := len(list) > 0 && list[0].Folder
	switch {
	case known:
		item.was = &list[0]
		if name == f.Path { // what is above it may have been scanned too
			item.now.Parent = item.was.Parent
		}
		if item.was.Dev != st.Dev {
			err = v.otherDisk(&item)
		}
	case len(list) == 0:
		item.was, err = v.movedFrom(v.ctx, v.root, item.now, nil)
	}
	if err != nil {
		return false, err
	}
	if item.was != nil {
		item.now.Block = item.was.Block
	} else if item.now.Block, item.exists, err = v.newBlock(v.ctx, f.Heap, name); err != nil {
		return false, err
	}
	v.folders = append(v.folders, walkedFolder{name, item.now.Block})
	if f.Watch {
		v.watch.Load().add(f, name)
	}
	return v.isScope(name) || v.deep || !known || item.was.State == ScannedVanished, v.saver.add(item)
}

// otherDisk is called for a folder whose device is another one: another disk is mounted
// there, or none where one was, or the system has numbered it anew. What will not be found
// in it is on the disk that is not there. The folder keeps its number until something is
// found that was there before.
func (v *scanVisitor) otherDisk(item *scanItem) error {
	if _, err := v.in.store.MarkScanned(v.ctx, item.now.Heap, item.now.Path, ScannedOffline, v.number()); err != nil {
		return err
	}
	v.strange = append(v.strange, strangeFolder{item: *item})
	item.now.Dev = item.was.Dev
	return nil
}

// strangeFolder is one whose device is another one.
type strangeFolder struct {
	item scanItem
	back bool // something was found that was there before
}

// home says that something is where it was.
func (v *scanVisitor) home(name string) {
	for i := range v.strange {
		if s := &v.strange[i]; under(name, s.item.now.Path) {
			s.back = true
		}
	}
}

// settleStrange has folders take the number of the disk that they are on, if it is the one
// they were on.
func (v *scanVisitor) settleStrange() error {
	for _, s := range v.strange {
		files, err := v.in.store.CountScanned(v.ctx, s.item.now.Heap, s.item.now.Path)
		if err != nil {
			return err
		}
		if s.back || files == 0 {
			if err := v.saver.add(s.item); err != nil {
				return err
			}
		}
	}
	return nil
}

// number is the scan's.
func (sc *scan) number() int64 { return sc.scan.Number }

func (v *scanVisitor) isScope(name string) bool {
	if v.scopes == nil {
		return name == v.scan.scan.Folder.Path
	}
	for _, scope := range v.scopes {
		if scope == name {
			return true
		}
	}
	return false
}

// Files implements [tree.Visitor].
func (v *scanVisitor) Files(folder string, files []tree.File) error {
	f := v.scan.scan.Folder
	v.found.Add(int64(len(files)))
	parent := v.parent(files[0].Path)
	paths := make([]string, len(files))
	for i := range files {
		paths[i] = files[i].Path
	}
	list, err := v.in.store.ScannedAt(v.ctx, f.Heap, paths)
	if err != nil {
		return err
	}
	known := make(map[string]*Scanned, len(list))
	for i := range list {
		known[list[i].Path] = &list[i]
	}
	for _, file := range files {
		was := known[file.Path]
		now := Scanned{Heap: f.Heap, Path: file.Path, Parent: parent, Stat: file.Stat, State: ScannedPresent, Seen: v.number()}
		item := scanItem{now: now, was: was}
		switch {
		case was != nil && !was.Folder && sameFile(was.Stat, file.Stat):
			item.now.Block, item.now.Hash = was.Block, was.Hash
			v.home(file.Path)
			err = v.saver.add(item)
		case v.settling(file):
			if len(v.settle) < maxSettling {
				v.settle = append(v.settle, file)
			} else {
				v.later(file.Path)
			}
			if was != nil { // it is there, whatever will become of it
				seen := *was
				seen.Seen = now.Seen
				err = v.saver.add(scanItem{now: seen, was: was, keep: true})
			}
		default:
			err = v.saver.hash(item)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// settling says whether a file may just be being written. One of the future is not.
func (v *scanVisitor) settling(f tree.File) bool {
	age := time.Since(time.Unix(0, f.MTime))
	return age >= 0 && age < v.cfg.Settle
}

// Skip implements [tree.Visitor].
func (v *scanVisitor) Skip(string, string) { v.skipped.Add(1) }

// Fail implements [tree.Visitor].
func (v *scanVisitor) Fail(name string, err error) {
	v.errs.Add(1)
	f := v.scan.scan.Folder
	v.in.logger.Warn("a folder or file cannot be scanned", "heap", f.Heap, "err", err)
	n, err := v.in.store.MarkScanned(v.ctx, f.Heap, name, ScannedOffline, v.number())
	if err == nil {
		v.offline.Add(n)
		err = v.keepSeen(name)
	}
	if err != nil && v.ctx.Err() == nil {
		v.in.logger.Warn("what is in a folder that cannot be read is not marked", "err", err)
		v.saver.fail(err)
	}
}

// keepSeen has what stands for a path itself not be looked for.
func (v *scanVisitor) keepSeen(name string) error {
	list, err := v.in.store.ScannedAt(v.ctx, v.scan.scan.Folder.Heap, []string{name})
	for i := range list {
		if list[i].State != ScannedVanished {
			list[i].State = ScannedOffline
		}
		list[i].Seen = v.number()
	}
	if err != nil || len(list) == 0 {
		return err
	}
	return v.in.store.SaveScanned(v.ctx, list, nil)
}

// movedFrom returns what a path that is new was before: what has its inode, or its bytes, and
// is not where it was.
func (sc *scan) movedFrom(ctx context.Context, root *tree.Root, now Scanned, hash *Hash) (*Scanned, error) {
	if sc.first {
		return nil, nil
	}
	list, err := sc.in.store.ScannedLike(ctx, now.Heap, hash, now.Stat, maxPlaces)
	if err != nil {
		return nil, err
	}
	for i := range list {
		was := &list[i]
		if was.Path == now.Path || was.Folder != now.Folder || was.Block == "" {
			continue
		}
		if hash == nil && (was.MTime != now.MTime || was.Size != now.Size) {
			continue // the number was given again
		}
		if sc.gone(ctx, root, was.Path) {
			return was, nil
		}
	}
	return nil, nil
}

// gone says whether there is certainly nothing at a path.
func (sc *scan) gone(ctx context.Context, root *tree.Root, name string) bool {
	_, _, err := root.Lstat(name)
	if errors.Is(err, tree.ErrOutside) {
		roots, rootsErr := sc.roots(ctx)
		dir, ok := tree.Within(roots, name)
		if rootsErr != nil || !ok {
			return false
		}
		other, openErr := tree.Open(dir, sc.cfg.Never)
		if openErr != nil {
			return isGone(openErr)
		}
		defer other.Close()
		_, _, err = other.Lstat(name)
	}
	return isGone(err)
}

// titleAt is the name of a file or folder as people read it.
func titleAt(name, otherwise string) string {
	if title := cleanFileName(strings.TrimSuffix(path.Base(name), "/")); title != "" {
		return title
	}
	return otherwise
}
