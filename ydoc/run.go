package ydoc

import (
	"slices"
	"sort"
)

// maxPage bounds the items of a page.
const maxPage = 256

// run is the items of one client in the order of their clocks, in pages, so that one can
// be put into the middle of many.
type run struct {
	pages []page // none is empty
	hint  position
}

type page struct {
	first uint32   // the clock of the first item
	items []uint32 // indexes of Doc.items
}

// position is a place in a run.
type position struct{ page, at int }

func (r *run) item(p position) uint32 { return r.pages[p.page].items[p.at] }

func (r *run) empty() bool { return len(r.pages) == 0 }

// last returns the position of the last item of a run that is not empty.
func (r *run) last() position {
	p := len(r.pages) - 1
	return position{p, len(r.pages[p].items) - 1}
}

// before returns the position before p, and false if there is none.
func (r *run) before(p position) (position, bool) {
	if p.at > 0 {
		return position{p.page, p.at - 1}, true
	}
	if p.page == 0 {
		return p, false
	}
	return position{p.page - 1, len(r.pages[p.page-1].items) - 1}, true
}

// after returns the position after p, and false if there is none.
func (r *run) after(p position) (position, bool) {
	if p.at+1 < len(r.pages[p.page].items) {
		return position{p.page, p.at + 1}, true
	}
	return position{p.page + 1, 0}, p.page+1 < len(r.pages)
}

// find returns the position of the item that holds clock, which must be there.
func (r *run) find(items []item, clock uint32) position {
	if h := r.hint; h.page < len(r.pages) && h.at < len(r.pages[h.page].items) {
		if it := &items[r.item(h)]; it.clock <= clock && clock < it.end() {
			return h
		}
	}
	p := len(r.pages) - 1
	if r.pages[p].first > clock {
		p = sort.Search(p, func(i int) bool { return r.pages[i].first > clock }) - 1
	}
	page := r.pages[p].items
	lo, hi := 0, len(page)
	if it := &items[page[hi-1]]; it.clock <= clock {
		lo = hi - 1
	}
	for hi-lo > 1 {
		mid := int(uint(lo+hi) / 2)
		if items[page[mid]].clock <= clock {
			lo = mid
		} else {
			hi = mid
		}
	}
	r.hint = position{p, lo}
	return r.hint
}

// add puts an item behind all others.
func (r *run) add(i, clock uint32) {
	if n := len(r.pages); n > 0 && len(r.pages[n-1].items) < maxPage {
		r.pages[n-1].items = append(r.pages[n-1].items, i)
		return
	}
	if len(r.pages) == 0 {
		r.pages = []page{{clock, []uint32{i}}}
		return
	}
	items := append(make([]uint32, 0, maxPage), i)
	r.pages = append(r.pages, page{clock, items})
}

// insertAfter puts item i behind the one at p.
func (r *run) insertAfter(items []item, p position, i uint32) {
	pg := &r.pages[p.page]
	if len(pg.items) == maxPage {
		half := append(make([]uint32, 0, maxPage), pg.items[maxPage/2:]...)
		pg.items = pg.items[:maxPage/2]
		r.pages = slices.Insert(r.pages, p.page+1, page{items[half[0]].clock, half})
		if p.at >= maxPage/2 {
			p = position{p.page + 1, p.at - maxPage/2}
		}
		pg = &r.pages[p.page]
	}
	pg.items = slices.Insert(pg.items, p.at+1, i)
}

// remove takes out the item at p, which must not be the first of the run.
func (r *run) remove(items []item, p position) {
	pg := &r.pages[p.page]
	pg.items = slices.Delete(pg.items, p.at, p.at+1)
	if len(pg.items) == 0 {
		r.pages = slices.Delete(r.pages, p.page, p.page+1)
	} else if p.at == 0 {
		pg.first = items[pg.items[0]].clock
	}
}
