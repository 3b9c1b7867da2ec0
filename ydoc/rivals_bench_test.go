package ydoc_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
)

// The rows that testdata/rivals compares with what Yjs and ywasm do. Each does the
// same work there, in documents.mjs.

func newDoc(updates ...[]byte) *ydoc.Doc {
	d := ydoc.NewDoc(ydoc.Options{ClientID: 1 << 20})
	for _, u := range updates {
		if err := d.Apply(u, ydoc.V1); err != nil {
			panic(err)
		}
	}
	return d
}

func BenchmarkDocument(b *testing.B) {
	updates, _ := traceUpdates(b)
	state := newDoc(updates...).Encode(ydoc.V1)
	loaded := newDoc(state)
	half := loaded.StateVector()
	for c, next := range half.All() {
		half = ydoc.StateVector{}
		half.Advance(c, next/2)
	}
	texts, maps := concurrent(func(d *ydoc.Doc) { d.Text("text").Insert(0, "x") }),
		concurrent(func(d *ydoc.Doc) { d.Map("map").Set("v", 1) })
	many := newDoc(texts...)

	for _, row := range []struct {
		name string
		run  func()
	}{
		{"B4/apply", func() { newDoc(updates...) }},
		{"B4/apply-emitting", func() {
			d := newDoc()
			d.OnUpdate(func(t *ydoc.Transaction) { t.Update(ydoc.V1) })
			for _, u := range updates {
				if err := d.Apply(u, ydoc.V1); err != nil {
					b.Fatal(err)
				}
			}
		}},
		{"B4/load", func() { newDoc(state) }},
		{"B4/encode", func() { loaded.Encode(ydoc.V1) }},
		{"B4/diff-half", func() { loaded.EncodeDiff(ydoc.V1, half) }},
		{"state-vector-1549", func() { many.EncodeStateVector() }},
		{"B1/append", func() { pair(func(i int, t ydoc.Text) { t.Insert(i, "a") }) }},
		{"B1/prepend", func() { pair(func(_ int, t ydoc.Text) { t.Insert(0, "a") }) }},
		{"B1/random", func() {
			rng := rand.New(rand.NewPCG(1, 1))
			pair(func(i int, t ydoc.Text) { t.Insert(rng.IntN(i+1), "a") })
		}},
		{"B2/two-writers", func() { twoWriters() }},
		{"B3/text", func() { newDoc(texts...) }},
		{"B3/map", func() { newDoc(maps...) }},
	} {
		b.Run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				row.run()
			}
		})
	}
	b.Run("B4/type", func(b *testing.B) {
		tr, _ := readTrace(b, "automerge-paper")
		patches := tr.patches()
		b.ResetTimer()
		for b.Loop() {
			typeTrace(tr, patches, nil)
		}
	})
}

const edits = 6000

// pair makes edits in one document, and another one follows it.
func pair(edit func(i int, t ydoc.Text)) {
	a, b := newDoc(), newDoc()
	a.OnUpdate(func(t *ydoc.Transaction) {
		if err := b.Apply(t.Update(ydoc.V1), ydoc.V1); err != nil {
			panic(err)
		}
	})
	text := a.Text("text")
	for i := range edits {
		edit(i, text)
	}
}

// twoWriters insert at random places without hearing of each other, and then do.
func twoWriters() {
	rng := rand.New(rand.NewPCG(1, 1))
	var docs [2]*ydoc.Doc
	var made [2][][]byte
	for w := range docs {
		docs[w] = ydoc.NewDoc(ydoc.Options{ClientID: ydoc.ClientID(w + 1)})
		stop := docs[w].OnUpdate(func(t *ydoc.Transaction) { made[w] = append(made[w], t.Update(ydoc.V1)) })
		text := docs[w].Text("text")
		for i := range edits {
			text.Insert(rng.IntN(i+1), "a")
		}
		stop()
	}
	for w := range docs {
		for _, u := range made[1-w] {
			if err := docs[w].Apply(u, ydoc.V1); err != nil {
				panic(err)
			}
		}
	}
}

// concurrent is one update each of 1,549 writers that know nothing of each other.
func concurrent(edit func(*ydoc.Doc)) [][]byte {
	var updates [][]byte
	for c := range ydoc.ClientID(1549) {
		d := ydoc.NewDoc(ydoc.Options{ClientID: c + 1})
		edit(d)
		updates = append(updates, d.Encode(ydoc.V1))
	}
	return updates
}

// heapOf is what n of what make returns keep of the heap, each.
func heapOf[T any](n int, make func() T) float64 {
	var before, after runtime.MemStats
	kept := []T{make()} // fills pools
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range n {
		kept = append(kept, make())
	}
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(kept)
	runtime.KeepAlive(make) // what it refers to was there before
	return float64(int64(after.HeapAlloc)-int64(before.HeapAlloc)) / float64(n)
}

func BenchmarkDocumentMemory(b *testing.B) {
	updates, _ := traceUpdates(b)
	state := newDoc(updates...).Encode(ydoc.V1)
	b.ReportMetric(heapOf(5, func() *ydoc.Doc { return newDoc(updates...) }), "B4-edited-bytes")
	b.ReportMetric(heapOf(20, func() *ydoc.Doc { return newDoc(state) }), "B4-bytes")
	b.ReportMetric(heapOf(10_000, func() *ydoc.Doc { return ydoc.NewDoc(ydoc.Options{}) }), "empty-bytes")
}

// manyStructs is n items of 1,000 clients, who insert at random places of a text that
// all of them see.
func manyStructs(n int) []byte {
	rng := rand.New(rand.NewPCG(1, 1))
	at := func(i int) *id { return &id{Client: ydoc.ClientID(i%1000 + 1), Clock: ydoc.Clock(i / 1000)} }
	next := make([]int, n) // of each item, the one on its right; 0: none
	builders := make([]*builder, 1000)
	for i := range n {
		if builders[i%1000] == nil {
			builders[i%1000] = new(builder).at(uint64(i%1000+1), 0)
		}
		if i == 0 {
			builders[0].text(nil, nil, "x")
			continue
		}
		k := rng.IntN(i)
		right := (*id)(nil)
		if next[k] != 0 {
			right = at(next[k])
		}
		builders[i%1000].text(at(k), right, "x")
		next[i], next[k] = next[k], i
	}
	var m ydoc.Merger
	for _, b := range builders {
		if err := m.Add(b.bytes(), ydoc.V1); err != nil {
			panic(err)
		}
	}
	return m.Append(nil, ydoc.V1)
}

// Ten times the structs take about ten times as long.
func BenchmarkDocumentLinear(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			state := manyStructs(n)
			b.ResetTimer()
			for b.Loop() {
				newDoc(state)
			}
		})
	}
}

// Inserts by others into the middle of a sequence take no longer in a long one.
func BenchmarkDocumentInsertInTheMiddle(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			d := newDoc(manyStructs(n))
			rng := rand.New(rand.NewPCG(1, 1))
			clock := uint64(0)
			b.ResetTimer()
			for b.Loop() {
				at := &id{Client: ydoc.ClientID(rng.IntN(1000) + 1), Clock: ydoc.Clock(rng.IntN(n / 1000))}
				if err := d.Apply(new(builder).at(2000, clock).text(at, nil, "x").bytes(), ydoc.V1); err != nil {
					b.Fatal(err)
				}
				clock++
			}
		})
	}
}
