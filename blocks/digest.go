package blocks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A heap's digest is a tree of hashes over its blocks that are not deleted, by which a
// client finds the few that differ from what it last saw, of very many:
//
//   - a block's place is the SHA-256 of its id, in hexadecimal, and a node stands for
//     the blocks whose places begin with its prefix;
//   - a block's hash is the SHA-256 of "<block id>/<seq>", seq being its head;
//   - a node's hash is the SHA-256 of its blocks' hashes, in the order of their places.
//
// Hashes are written as their first 32 hexadecimal digits.

// Digest is one node of the tree. It has blocks if they are few, else children.
type Digest struct {
	Prefix   string
	Hash     string
	Count    int
	Children []Digest // without theirs
	Blocks   []BlockDigest
}

// BlockDigest is a block's hash.
type BlockDigest struct {
	Block BlockID
	Hash  string
}

// digestLeaf is how many blocks a node lists.
const digestLeaf = 64

const hexDigits = "0123456789abcdef"

// Digest returns the node of prefix to a user who can read the heap.
func (in *Instance) Digest(ctx context.Context, user UserID, heap HeapID, prefix string) (Digest, error) {
	if len(prefix) > 2*sha256.Size || strings.Trim(prefix, hexDigits) != "" {
		return Digest{}, fmt.Errorf("prefix must be at most %d digits of 0-9 a-f: %w", 2*sha256.Size, ErrInvalid)
	}
	if err := in.Require(ctx, user, heap, RoleViewer); err != nil {
		return Digest{}, err
	}
	type place struct {
		at    string
		block BlockID
		sum   [sha256.Size]byte
	}
	var places []place
	err := in.store.Seqs(ctx, heap, func(block BlockID, seq Seq) {
		sum := sha256.Sum256([]byte(block))
		if at := hex.EncodeToString(sum[:]); strings.HasPrefix(at, prefix) {
			places = append(places, place{at, block, sha256.Sum256([]byte(string(block) + "/" + strconv.FormatInt(int64(seq), 10)))})
		}
	})
	if err != nil {
		return Digest{}, err
	}
	slices.SortFunc(places, func(a, b place) int { return strings.Compare(a.at, b.at) })
	node := func(prefix string, places []place) Digest {
		h := sha256.New()
		for i := range places {
			h.Write(places[i].sum[:])
		}
		return Digest{Prefix: prefix, Hash: short(h.Sum(nil)), Count: len(places)}
	}
	d := node(prefix, places)
	if len(places) <= digestLeaf {
		for _, p := range places {
			d.Blocks = append(d.Blocks, BlockDigest{p.block, short(p.sum[:])})
		}
		return d, nil
	}
	for _, digit := range hexDigits {
		child := prefix + string(digit)
		n := 0
		for n < len(places) && strings.HasPrefix(places[n].at, child) {
			n++
		}
		if n > 0 {
			d.Children = append(d.Children, node(child, places[:n]))
		}
		places = places[n:]
	}
	return d, nil
}

func short(sum []byte) string { return hex.EncodeToString(sum[:16]) }
