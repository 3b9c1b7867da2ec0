package blocks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
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
	if len(prefix) < digestDepth {
		tree, err := in.digests.of(ctx, in.store, heap)
		if err != nil {
			return Digest{}, err
		}
		if d := tree.digest(prefix); d.Count > digestLeaf {
			return d, nil
		}
	}
	return digestBelow(ctx, in.store, heap, prefix)
}

// place is where a block stands in the tree. The half of a SHA-256 that is here is
// enough to order blocks by.
type place struct {
	at  [16]byte
	sum [sha256.Size]byte
}

func sumOf(block BlockID, seq Seq) [sha256.Size]byte {
	var buf [128]byte
	b := append(append(buf[:0], block...), '/')
	return sha256.Sum256(strconv.AppendInt(b, int64(seq), 10))
}

// digestBelow reads the blocks of one node, which are few unless somebody has made ids
// for that.
func digestBelow(ctx context.Context, store Changes, heap HeapID, prefix string) (Digest, error) {
	type leaf struct {
		place [sha256.Size]byte
		block BlockID
		sum   [sha256.Size]byte
	}
	var leaves []leaf
	err := store.Seqs(ctx, heap, func(block BlockID, seq Seq) {
		if at := sha256.Sum256([]byte(block)); beginsWith(&at, prefix) {
			leaves = append(leaves, leaf{at, block, sumOf(block, seq)})
		}
	})
	if err != nil {
		return Digest{}, err
	}
	slices.SortFunc(leaves, func(a, b leaf) int { return bytes.Compare(a.place[:], b.place[:]) })
	node := func(prefix string, leaves []leaf) Digest {
		h := sha256.New()
		for i := range leaves {
			h.Write(leaves[i].sum[:])
		}
		return Digest{Prefix: prefix, Hash: short(h.Sum(nil)), Count: len(leaves)}
	}
	d := node(prefix, leaves)
	if len(leaves) <= digestLeaf {
		for _, l := range leaves {
			d.Blocks = append(d.Blocks, BlockDigest{l.block, short(l.sum[:])})
		}
		return d, nil
	}
	for _, digit := range hexDigits {
		child := prefix + string(digit)
		n := 0
		for n < len(leaves) && beginsWith(&leaves[n].place, child) {
			n++
		}
		if n > 0 {
			d.Children = append(d.Children, node(child, leaves[:n]))
		}
		leaves = leaves[n:]
	}
	return d, nil
}

func beginsWith(at *[sha256.Size]byte, prefix string) bool {
	for i := range len(prefix) {
		if hexDigits[at[i/2]>>(4*(1-i%2))&15] != prefix[i] {
			return false
		}
	}
	return true
}

func short(sum []byte) string { return hex.EncodeToString(sum[:16]) }

const (
	// digestDepth is how many digits the prefixes of a tree's last nodes have: each of
	// them stands for 24 of 100,000 blocks.
	digestDepth = 3
	// digestTrees is how many heaps' trees are remembered, of 100 KB each.
	digestTrees = 8
)

// digestTree is the upper nodes of a heap's tree as of a seq.
type digestTree struct {
	heap   HeapID
	seq    Seq
	levels [digestDepth + 1][]digestNode // each in the order of prefixes
}

type digestNode struct {
	count int
	hash  [sha256.Size / 2]byte
}

// digests are the trees that were asked for last, so that a client that goes down in one
// has it made once.
type digests struct {
	turn  chan struct{} // has room for one, who has trees: each is made once, and one at a time
	trees []*digestTree // the last used at the end
}

func (d *digests) init() { d.turn = make(chan struct{}, 1) }

// of returns the tree of what the heap has now.
func (d *digests) of(ctx context.Context, store Changes, heap HeapID) (*digestTree, error) {
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	seq, err := store.HeapSeq(ctx, heap)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(d.trees, func(t *digestTree) bool { return t.heap == heap })
	var tree *digestTree
	if i >= 0 {
		tree = d.trees[i]
		d.trees = slices.Delete(d.trees, i, i+1)
	}
	if tree == nil || tree.seq != seq {
		if tree, err = newDigestTree(ctx, store, heap, seq); err != nil {
			return nil, err
		}
	}
	if len(d.trees) == digestTrees {
		d.trees = slices.Delete(d.trees, 0, 1)
	}
	d.trees = append(d.trees, tree)
	return tree, nil
}

// newDigestTree reads a heap whose last seq was just now, or is, seq: what has been
// committed since has the next one who asks read it anew.
func newDigestTree(ctx context.Context, store Changes, heap HeapID, seq Seq) (*digestTree, error) {
	var places []place
	err := store.Seqs(ctx, heap, func(block BlockID, seq Seq) {
		at := sha256.Sum256([]byte(block))
		places = append(places, place{[16]byte(at[:16]), sumOf(block, seq)})
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(places, func(a, b place) int { return bytes.Compare(a.at[:], b.at[:]) })
	t := &digestTree{heap: heap, seq: seq}
	for depth := range t.levels {
		t.levels[depth] = make([]digestNode, 1<<(4*depth))
		h, at := sha256.New(), 0
		for i := range places {
			if n := places[i].node(depth); n != at {
				t.levels[depth][at].end(h)
				at = n
			}
			h.Write(places[i].sum[:])
			t.levels[depth][at].count++
		}
		t.levels[depth][at].end(h)
	}
	return t, nil
}

// node is which node of a depth has the place.
func (p *place) node(depth int) int {
	return (int(p.at[0])<<16 | int(p.at[1])<<8 | int(p.at[2])) >> (24 - 4*depth)
}

func (n *digestNode) end(h hash.Hash) {
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	copy(n.hash[:], sum[:])
	h.Reset()
}

// digest is the node of a prefix that is shorter than digestDepth, with its children.
func (t *digestTree) digest(prefix string) Digest {
	node := func(prefix string) Digest {
		at, _ := strconv.ParseUint("0"+prefix, 16, 64) // never fails
		n := &t.levels[len(prefix)][at]
		return Digest{Prefix: prefix, Hash: short(n.hash[:]), Count: n.count}
	}
	d := node(prefix)
	for _, digit := range hexDigits {
		if c := node(prefix + string(digit)); c.Count > 0 {
			d.Children = append(d.Children, c)
		}
	}
	return d
}
