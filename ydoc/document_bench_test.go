package ydoc_test

import (
	"testing"

	"github.com/heapsync/heapsync/ydoc"
)

func BenchmarkDocApplyTrace(b *testing.B) {
	updates, _ := traceUpdates(b)
	b.ReportAllocs()
	for b.Loop() {
		d := ydoc.NewDoc(ydoc.Options{})
		for _, u := range updates {
			if err := d.Apply(u, ydoc.V1); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkDocLoadTrace(b *testing.B) {
	updates, _ := traceUpdates(b)
	d := ydoc.NewDoc(ydoc.Options{})
	for _, u := range updates {
		if err := d.Apply(u, ydoc.V1); err != nil {
			b.Fatal(err)
		}
	}
	state := d.Encode(ydoc.V1)
	b.Run("load", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d := ydoc.NewDoc(ydoc.Options{})
			if err := d.Apply(state, ydoc.V1); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ydoc.DecodeUpdate(state, ydoc.V1, ydoc.DefaultLimits()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d.Encode(ydoc.V1)
		}
	})
}
