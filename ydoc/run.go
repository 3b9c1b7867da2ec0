package ydoc

import "slices"

// maxPage bounds the items of a page.
const maxPage = 256

// run is the items of one client in the order of their clocks, in pages, so that one can
// be put into the middle of many.
type run struct {
	pages []page // none is empty
	hint  position
}

type page struct {
	first   uint32 // the clock of the first entry
	entries []entry
}

// entry is an item, an index of Doc.items, and its clock.
type entry struct{ clock, item uint32 }

// position is a place in a run.
type position struct{ page, at int }

func (r *run) item(p position) uint32 { return r.pages[p.page].entries[p.at].item }

func (r *run) clock(p position) uint32 { return r.pages[p.page].entries[p.at].clock }

func (r *run) empty() bool { return len(r.pages) == 0 }

// last returns the position of the last item of a run that is not empty.
func (r *run) last() position {
	p := len(r.pages) - 1
	return position{p, len(r.pages[p].entries) - 1}
}

// before returns the position before p, and false if there is none.
func (r *run) before(p position) (position, bool) {
	if p.at > 0 {
		return position{p.page, p.at - 1}, true
	}
	if p.page == 0 {
		return p, false
	}
	return position{p.page - 1, len(r.pages[p.page-1].entries) - 1}, true
}

// after returns the position after p, and false if there is none.
func (r *run) after(p position) (position, bool) {
	if p.at+1 < len(r.pages[p.page].entries) {
		return position{p.page, p.at + 1}, true
	}
	return position{p.page + 1, 0}, p.page+1 < len(r.pages)
}

// find returns the position of the item that holds clock, which must be there.
func (r *run) find(clock uint32) position {
	lo, n := 0, len(r.pages)
	if e := r.pages[n-1].entries; e[len(e)-1].clock <= clock {
		return position{n - 1, len(e) - 1}
	}
	if at, ok := r.near(clock); ok {
		r.hint.at = at
		return r.hint
	}
	if r.pages[n-1].first <= clock {
		lo, n = n-1, 1
	}
	for n > 1 {
		half := n / 2
		if r.pages[lo+half].first <= clock {
			lo += half
		}
		n -= half
	}
	e := r.pages[lo].entries
	at := 0
	if n = min(len(e), int(clock-r.pages[lo].first)+1); e[n-1].clock <= clock {
		at, n = n-1, 1 // as usual where every item is one element
	}
	for n > 1 {
		half := n / 2
		step := half // so written it becomes a conditional move
		if e[at+half].clock > clock {
			step = 0
		}
		at += step
		n -= half
	}
	r.hint = position{lo, at}
	return r.hint
}

// near looks for clock a little behind, and a little before, what was found last.
func (r *run) near(clock uint32) (at int, ok bool) {
	if r.hint.page >= len(r.pages) {
		return 0, false
	}
	e := r.pages[r.hint.page].entries
	at = min(r.hint.at+8, len(e)-1)
	first := max(r.hint.at-8, 0)
	if first > at || clock < e[first].clock || clock >= e[at].clock {
		return 0, false
	}
	for e[at].clock > clock {
		at--
	}
	return at, true
}

// add puts an item behind all others.
func (r *run) add(clock, i uint32) {
	e := entry{clock, i}
	if n := len(r.pages); n > 0 && len(r.pages[n-1].entries) < maxPage {
		r.pages[n-1].entries = append(r.pages[n-1].entries, e)
		return
	}
	if len(r.pages) == 0 {
		r.pages = []page{{clock, []entry{e}}}
		return
	}
	r.pages = append(r.pages, page{clock, append(make([]entry, 0, maxPage), e)})
}

// fill makes a run of entries, whose memory it keeps.
func (r *run) fill(entries []entry) {
	r.pages = make([]page, 0, (len(entries)+maxPage-1)/maxPage)
	for part := range slices.Chunk(entries, maxPage) {
		r.pages = append(r.pages, page{part[0].clock, part})
	}
}

// insertAfter puts item i, which begins at clock, behind the one at p.
func (r *run) insertAfter(p position, clock, i uint32) {
	pg := &r.pages[p.page]
	if len(pg.entries) == maxPage {
		half := append(make([]entry, 0, maxPage), pg.entries[maxPage/2:]...)
		pg.entries = pg.entries[:maxPage/2]
		r.pages = slices.Insert(r.pages, p.page+1, page{half[0].clock, half})
		if p.at >= maxPage/2 {
			p = position{p.page + 1, p.at - maxPage/2}
		}
		pg = &r.pages[p.page]
	}
	pg.entries = slices.Insert(pg.entries, p.at+1, entry{clock, i})
}

// remove takes out the item at p, which must not be the first of the run.
func (r *run) remove(p position) {
	pg := &r.pages[p.page]
	pg.entries = slices.Delete(pg.entries, p.at, p.at+1)
	if len(pg.entries) == 0 {
		r.pages = slices.Delete(r.pages, p.page, p.page+1)
	} else if p.at == 0 {
		pg.first = pg.entries[0].clock
	}
}
