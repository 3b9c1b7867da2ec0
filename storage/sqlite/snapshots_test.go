// Inside the package, because what compresses belongs to all stores and is not exported.
package sqlite

import (
	"bytes"
	"testing"
	"testing/synctest"
)

func TestCompressorCanBeUsedUnderAnyClock(t *testing.T) {
	c, want := newCompressor(), bytes.Repeat([]byte("state"), 100)
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			if got, err := decompress(c.EncodeAll(want, nil)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes came back, %v", len(got), err)
			}
		})
	}
}
