package blocks_test

import (
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/blocks"
)

func TestHashesAreLowerCaseHex(t *testing.T) {
	h := blocks.Hash(sha256.Sum256([]byte("x")))
	if got, err := blocks.ParseHash(h.String()); err != nil || got != h {
		t.Errorf("%s became %s, %v", h, got, err)
	}
	for _, s := range []string{"", "0", h.String()[1:], h.String() + "0", strings.ToUpper(h.String()), " " + h.String()[1:], strings.Repeat("g", 64), strings.Repeat("é", 32)} {
		if _, err := blocks.ParseHash(s); !errors.Is(err, blocks.ErrInvalid) {
			t.Errorf("%q: %v", s, err)
		}
	}
}
