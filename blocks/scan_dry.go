package blocks

import (
	"context"

	"github.com/heapsync/heapsync/blocks/tree"
)

// ScanPlan is what a scan would do.
type ScanPlan struct {
	Found     int64 // files
	Bytes     int64 // that would be hashed
	New       int64
	Changed   int64
	Moved     int64
	Unchanged int64
	Vanished  int64
	Skipped   int64
	Errors    int64
	List      []PlannedFile // the first of those that are not unchanged
}

// PlannedFile is what a scan would do with a file: new, changed or moved.
type PlannedFile struct {
	Path, Action string
}

// maxPlanned bounds the list of a plan.
const maxPlanned = 500

// PlanScan says what a scan would do, and does nothing. Errors are those of StartScan.
func (in *Instance) PlanScan(ctx context.Context, user UserID, req ScanRequest) (ScanPlan, error) {
	s := in.scans
	if err := s.mayScan(ctx, user, req.Heap); err != nil {
		return ScanPlan{}, err
	}
	name, dir, err := s.place(ctx, req.Path)
	if err != nil {
		return ScanPlan{}, err
	}
	if err := s.isThere(dir, name); err != nil {
		return ScanPlan{}, err
	}
	root, err := tree.Open(dir, s.cfg.Never)
	if err != nil {
		return ScanPlan{}, ErrNotScannable
	}
	defer root.Close()
	req.Path = name
	p := &planner{ctx: ctx, scan: newScan(s, Scan{}, nil), root: root, req: req}
	known, err := in.store.CountScanned(ctx, req.Heap, name)
	if err == nil {
		err = root.Walk(ctx, name, p)
	}
	if err != nil {
		return ScanPlan{}, err
	}
	p.plan.Vanished = max(known-p.plan.Unchanged-p.plan.Changed-p.plan.Moved, 0)
	return p.plan, nil
}

// planner is a [tree.Visitor].
type planner struct {
	ctx  context.Context
	scan *scan
	root *tree.Root
	req  ScanRequest
	plan ScanPlan
}

// Folder implements [tree.Visitor].
func (p *planner) Folder(name string, _ tree.Stat) (enter bool, err error) {
	return p.req.Recursive || name == p.req.Path, nil
}

// Files implements [tree.Visitor].
func (p *planner) Files(_ string, files []tree.File) error {
	paths := make([]string, len(files))
	for i := range files {
		paths[i] = files[i].Path
	}
	list, err := p.scan.in.store.ScannedAt(p.ctx, p.req.Heap, paths)
	if err != nil {
		return err
	}
	known := map[string]Scanned{}
	for _, c := range list {
		known[c.Path] = c
	}
	for _, f := range files {
		p.plan.Found++
		was, ok := known[f.Path]
		switch {
		case ok && !was.Folder && sameFile(was.Stat, f.Stat):
			p.plan.Unchanged++
		case ok:
			p.plan.Changed++
			p.note(f, "changed")
		default:
			moved, err := p.scan.movedFrom(p.ctx, p.root, Scanned{Heap: p.req.Heap, Path: f.Path, Stat: f.Stat}, nil)
			if err != nil {
				return err
			}
			if moved != nil {
				p.plan.Moved++
				p.plan.Bytes -= f.Size // nothing is read
				p.note(f, "moved")
			} else {
				p.plan.New++
				p.note(f, "new")
			}
		}
	}
	return nil
}

func (p *planner) note(f tree.File, action string) {
	p.plan.Bytes += f.Size
	if len(p.plan.List) < maxPlanned {
		p.plan.List = append(p.plan.List, PlannedFile{f.Path, action})
	}
}

// Skip implements [tree.Visitor].
func (p *planner) Skip(string, string) { p.plan.Skipped++ }

// Fail implements [tree.Visitor].
func (p *planner) Fail(string, error) { p.plan.Errors++ }
