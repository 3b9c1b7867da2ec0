package lib0_test

import (
	"math/rand/v2"
	"testing"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

func TestTwoIntegersAtOnceAreThoseReadOneAfterTheOther(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 100_000 {
		b := make([]byte, rng.IntN(13))
		for i := range b {
			b[i] = []byte{0, 1, 0x7f, 0x80, 0x81, 0xff, byte(rng.Uint32())}[rng.IntN(7)]
		}
		one, two := lib0.NewReader(b), lib0.NewReader(b)
		x, err := one.VarUint()
		y := uint64(0)
		if err == nil {
			y, err = one.VarUint()
		}
		a, c, err2 := two.VarUints()
		if err != err2 || err == nil && (a != x || c != y || one.Offset() != two.Offset() || one.Padded() != two.Padded()) {
			t.Fatalf("%x: %d %d %v, want %d %d %v", b, a, c, err2, x, y, err)
		}
	}
}
